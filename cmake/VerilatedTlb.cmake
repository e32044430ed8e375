# compile_together(target prefix OPT_FAST f OPT_GLOBAL g OPT_SLOW s): two translation units for what
# Verilator generated for `prefix`, fast and slow. Each of its dozen files takes longer to read its
# headers than to compile.
function(compile_together target prefix)
  cmake_parse_arguments(arg "" "OPT_FAST;OPT_GLOBAL;OPT_SLOW" "" ${ARGN})
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/${prefix}.dir)
  include(${folder}/${prefix}.cmake) # Verilator's lists
  set(slow ${${prefix}_CLASSES_SLOW} ${${prefix}_SUPPORT_SLOW})
  set(fast ${${prefix}_CLASSES_FAST} ${${prefix}_SUPPORT_FAST})
  set_source_files_properties(${slow} ${fast} PROPERTIES HEADER_FILE_ONLY TRUE)
  foreach(speed fast slow)
    set(text "")
    foreach(file IN LISTS ${speed})
      string(APPEND text "#include \"${file}\"\n")
    endforeach()
    set(together ${folder}/all_${speed}.cpp)
    file(CONFIGURE OUTPUT ${together} CONTENT "${text}" @ONLY)
    string(TOUPPER ${speed} upper)
    set_source_files_properties(${together} PROPERTIES COMPILE_OPTIONS "${arg_OPT_${upper}}")
    target_sources(${target} PRIVATE ${together})
  endforeach()
endfunction()

# add_verilated_tlbs(target FOLDER rtl GEOMETRIES 4:4 8:2 ...): a static library with one class
# Vtlb_<entries>x<ways> for each geometry, and Verilator's run-time support once.
#
# Its headers are SYSTEM, so that they do not trip our warnings. Verilating runs at configure time:
# a lint warning of the RTL stops cmake.
function(add_verilated_tlbs target)
  cmake_parse_arguments(arg "" "FOLDER" "GEOMETRIES" ${ARGN})
  add_library(${target} STATIC)
  set(optimize OPT_FAST -O2 OPT_GLOBAL -O2 OPT_SLOW -O1)
  if(SHOOTDOWN_SANITIZE) # nobody waits for it there
    set(optimize OPT_FAST -O1 OPT_GLOBAL -O1 OPT_SLOW -O0)
  endif()
  foreach(geometry IN LISTS arg_GEOMETRIES)
    string(REPLACE ":" ";" parts ${geometry})
    list(GET parts 0 entries)
    list(GET parts 1 ways)
    verilate(${target} TRACE
      PREFIX Vtlb_${entries}x${ways}
      TOP_MODULE tlb
      SOURCES
        ${arg_FOLDER}/lint.vlt
        ${arg_FOLDER}/tlb_pkg.sv
        ${arg_FOLDER}/tlb_match.sv
        ${arg_FOLDER}/tlb_plru.sv
        ${arg_FOLDER}/tlb.sv
        ${arg_FOLDER}/tlb_port_sva.sv
        ${arg_FOLDER}/tlb_inner_sva.sv
      VERILATOR_ARGS -Wall --assert --no-timing -O3 --trace-max-array 128
        -GNumEntries=${entries} -GNumWays=${ways}
      ${optimize})
    compile_together(${target} Vtlb_${entries}x${ways} ${optimize})
  endforeach()
  set_target_properties(${target} PROPERTIES SYSTEM ON)
  if(SHOOTDOWN_SANITIZE)
    # Generated code is Verilator's business: it keeps 64-bit values at 32-bit alignment in its
    # trace buffer, and instrumenting it would take most of the build.
    target_compile_options(${target} PRIVATE -fno-sanitize=all)
  endif()
endfunction()
