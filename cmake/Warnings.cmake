# shootdown::warnings: warnings for our own code. Link it PRIVATE. SHOOTDOWN_SANITIZE adds the
# sanitizers.
add_library(shootdown_warnings INTERFACE)
add_library(shootdown::warnings ALIAS shootdown_warnings)
target_compile_options(shootdown_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  # g++ 12 warns of std::string's operator+ itself (GCC bug 105651).
  -Wno-restrict)

if(SHOOTDOWN_SANITIZE)
  # Directory-wide on purpose: all code of ours, whatever it links.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
