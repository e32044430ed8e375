// Replays recorded behaviour of other implementations and of Linux's own code, and says where this
// one differs: what `shootdown conform` does, and the tests with the cases in tests/vectors/.
#ifndef SHOOTDOWN_CONFORM_CONFORM_H
#define SHOOTDOWN_CONFORM_CONFORM_H

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace shootdown::hw {
struct SmmuConfig;
}

namespace shootdown::conform {

/// One case in one configuration.
struct ConformCase {
  std::string name;
  std::string configuration;
  std::string difference;  ///< empty: agrees
};

struct ConformFile {
  std::string path;
  std::string format;
  std::vector<ConformCase> cases;

  unsigned failed() const;
};

/// Recorded mmu_gather traces: format "mmu_gather-trace-1". Throws std::exception if they are not
/// what the format says.
ConformFile replay_mmu_gather(const nlohmann::json& file);

bool is_mmu_gather(const nlohmann::json& file);

/// Recorded arm64 TLB flushes: format "arm64-tlbi/1".
ConformFile replay_arm64_tlbi(const nlohmann::json& file);
bool is_arm64_tlbi(const nlohmann::json& file);

/// A recorded SMMUv3 sequence: format "smmuv3-qemu-vector/1". A case for each of its
/// three runs: fresh, natural with all cached, natural with little cached. `plant` changes the
/// model that is judged: for tests that the judge sees it.
ConformFile replay_smmuv3(const nlohmann::json& file,
                          const std::function<void(hw::SmmuConfig&)>& plant = {});
bool is_smmuv3(const nlohmann::json& file);

/// Recorded sessions of Linux's SMMUv3 driver: format "smmuv3-driver/1". A case a session.
ConformFile replay_smmu_driver(const nlohmann::json& file);
bool is_smmu_driver(const nlohmann::json& file);

/// What that driver builds: "smmuv3-commands/1", "smmu-tlb-inv-range/1", "smmuv3-nonterminating/1".
ConformFile replay_smmu_commands(const nlohmann::json& file);
bool is_smmu_commands(const nlohmann::json& file);

/// Every .json and .json.gz in a folder, by name, of a known format. Throws std::runtime_error if a
/// file cannot be read or none is known.
std::vector<ConformFile> conform_folder(const std::string& folder);

}  // namespace shootdown::conform

#endif
