# shootdown::warnings: warnings for our own code. Link it PRIVATE. SHOOTDOWN_SANITIZE adds the
# sanitizers, SHOOTDOWN_FUZZ the coverage that libFuzzer looks at.
add_library(shootdown_warnings INTERFACE)
add_library(shootdown::warnings ALIAS shootdown_warnings)
target_compile_options(shootdown_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Werror
  # g++ 12 warns of std::string's operator+ itself (GCC bug 105651); clang 14 of parameters of
  # lambdas that are called as a field is.
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow;-Wno-restrict>)

if(SHOOTDOWN_SANITIZE)
  # Directory-wide on purpose: all code of ours, whatever it links.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

if(SHOOTDOWN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
