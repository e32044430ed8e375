// The wave file: one time base, software and SystemC and RTL signals, and the save file's names.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace shootdown::tests {
namespace {

struct Vcd {
  std::set<std::string> signals;  ///< full names, without ranges
  std::vector<std::uint64_t> times;
  std::size_t changes{};
};

Vcd parse(const std::string& path) {
  Vcd vcd;
  std::ifstream file(path);
  std::string word;
  std::vector<std::string> scopes;
  while (file >> word) {
    if (word == "$scope") {
      std::string kind, name;
      file >> kind >> name;
      scopes.push_back(name);
    } else if (word == "$upscope") {
      scopes.pop_back();
    } else if (word == "$var") {
      std::string kind, width, code, name;
      file >> kind >> width >> code >> name;
      std::string full;
      for (const std::string& scope : scopes) full += scope + ".";
      vcd.signals.insert(full + name);
    } else if (word[0] == '#') {
      vcd.times.push_back(std::stoull(word.substr(1)));
    } else if (word[0] == 'b') {
      file >> word;  // the code of the signal, which may start with any character
      ++vcd.changes;
    } else if ((word[0] == '0' || word[0] == '1') && word.size() > 1) {
      ++vcd.changes;
    }
  }
  return vcd;
}

std::string record(const std::string& name, const std::string& arguments,
                   const std::string& config = "configs/permission_upgrade.yaml") {
  const std::string path = (std::filesystem::temp_directory_path() / name).string();
  const std::string command = std::string(SHOOTDOWN_PROGRAM) + " run " + config + " " + arguments +
                              " --waves " + path + " > /dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);
  return path;
}

TEST(WavesTest, HoldSoftwareSystemcAndRtlOnOneAscendingTimeBase) {
  const std::string path =
      record("shootdown_waves_rtl.vcd",
             "--set hardware.smmu.tlb.model=rtl --set hardware.cpu_tlb.model=rtl");
  const Vcd vcd = parse(path);
  std::filesystem::remove(path);

  for (const char* name :
       {"software.cpu0.function", "software.cpu0.flush", "software.cpu1.mmu_notifier",
        "systemc.smmu0.cmdq_command", "systemc.smmu0.tlb_lookup_va", "systemc.smmu0.fault",
        "systemc.smmu0.walk_level", "systemc.nic0.access_va", "smmu0_tlb.clk_i",
        "smmu0_tlb.rsp_hit_o", "cpu0_tlb.occupancy_o"}) {
    EXPECT_EQ(vcd.signals.count(name), 1U) << name;
  }
  ASSERT_GT(vcd.times.size(), 100U);
  for (std::size_t i = 1; i < vcd.times.size(); ++i) ASSERT_LT(vcd.times[i - 1], vcd.times[i]);
  EXPECT_GT(vcd.changes, 1000U);
}

/// Whose a signal is follows from what the actor is, and not from how it is called.
TEST(WavesTest, ADeviceNamedLikeACpuIsDrawnAsADevice) {
  const std::string path =
      record("shootdown_waves_cpu_dma.vcd", "", "tests/cosim/cases/device_named_cpu.yaml");
  const Vcd vcd = parse(path);
  std::filesystem::remove(path);
  EXPECT_EQ(vcd.signals.count("systemc.cpu_dma.accesses_done"), 1U);
  for (const std::string& signal : vcd.signals) {
    EXPECT_NE(signal.rfind("software.cpu_dma", 0), 0U) << signal;
  }
}

TEST(WavesTest, SystemcRunWritesTheSameKindOfFile) {
  const std::string path = record("shootdown_waves_systemc.vcd", "");
  const Vcd vcd = parse(path);
  std::filesystem::remove(path);

  EXPECT_EQ(vcd.signals.count("systemc.smmu0.stalled_transactions"), 1U);
  EXPECT_EQ(vcd.signals.count("smmu0_tlb.clk_i"), 0U);
  EXPECT_GT(vcd.times.size(), 50U);
}

/// Expects every signal that a save file names to be in the waves.
void expect_signals(const std::string& save_file, const Vcd& vcd) {
  std::ifstream save(std::string(SHOOTDOWN_SOURCE_DIR) + "/waves/" + save_file);
  std::string line;
  unsigned named = 0;
  while (std::getline(save, line)) {
    if (line.empty() || line[0] == '[' || line[0] == '*' || line[0] == '@' || line[0] == '-') {
      continue;
    }
    const std::string name = line.substr(0, line.find('['));
    EXPECT_EQ(vcd.signals.count(name), 1U) << name;
    ++named;
  }
  EXPECT_GE(named, 20U);
}

TEST(WavesTest, EverySignalOfTheSaveFileExists) {
  const std::string path =
      record("shootdown_waves_save.vcd",
             "--set hardware.smmu.tlb.model=rtl --set hardware.cpu_tlb.model=rtl");
  const Vcd vcd = parse(path);
  std::filesystem::remove(path);
  expect_signals("permission_upgrade.gtkw", vcd);
}

TEST(WavesTest, EverySignalOfTheChangesExists) {
  const std::string path =
      record("shootdown_waves_changes.vcd", "", "configs/changes/delayed_rmap.yaml");
  const Vcd vcd = parse(path);
  std::filesystem::remove(path);
  expect_signals("changes.gtkw", vcd);
}

}  // namespace
}  // namespace shootdown::tests
