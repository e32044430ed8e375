// main() of every test program. SystemC owns main otherwise.
#include <gtest/gtest.h>

#include <cstdlib>
#include <systemc>

int sc_main(int, char**) { return 0; }  // only there because the library refers to it

int main(int argc, char** argv) {
  setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
