# Everything from Debian 12's packages; cmake/packages.txt names them.
find_package(verilator 5.006 REQUIRED HINTS $ENV{VERILATOR_ROOT})
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(rapidcheck REQUIRED)
find_package(benchmark REQUIRED)

pkg_check_modules(SYSTEMC REQUIRED IMPORTED_TARGET GLOBAL systemc>=2.3.4)
# The packaged library is built as C++17 and says so in the name of a symbol that every user of its
# headers refers to; with this definition C++20 code links against it.
target_compile_definitions(PkgConfig::SYSTEMC INTERFACE SC_CPLUSPLUS=201703L)
