# add_verilated_tlb(target PREFIX p ENTRIES n WAYS n FOLDER rtl): a static library with the class Vp.
#
# Its headers are SYSTEM, so that they do not trip our warnings. Verilating runs at configure time:
# a lint warning of the RTL stops cmake.
function(add_verilated_tlb target)
  cmake_parse_arguments(arg "" "PREFIX;ENTRIES;WAYS;FOLDER" "" ${ARGN})
  add_library(${target} STATIC)
  verilate(${target} TRACE
    PREFIX V${arg_PREFIX}
    TOP_MODULE tlb
    SOURCES
      ${arg_FOLDER}/lint.vlt
      ${arg_FOLDER}/tlb_pkg.sv
      ${arg_FOLDER}/tlb_match.sv
      ${arg_FOLDER}/tlb_plru.sv
      ${arg_FOLDER}/tlb.sv
      ${arg_FOLDER}/tlb_sva.sv
    VERILATOR_ARGS -Wall --assert --no-timing -O3 --trace-max-array 128
      -GNumEntries=${arg_ENTRIES} -GNumWays=${arg_WAYS}
    OPT_FAST -O2 OPT_GLOBAL -O2 OPT_SLOW -O1)
  set_target_properties(${target} PROPERTIES SYSTEM ON)
  if(SHOOTDOWN_SANITIZE)
    # Verilator's trace buffer keeps 64-bit values at 32-bit alignment.
    get_target_property(sources ${target} SOURCES)
    list(FILTER sources INCLUDE REGEX "(__Trace__[^/]*|verilated_vcd_c)\\.cpp$")
    set_property(SOURCE ${sources} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=alignment)
  endif()
endfunction()
