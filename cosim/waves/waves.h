// Waves of a run: software, SystemC models and RTL on one time base in one VCD file.
//
// Scopes: software.cpuN, systemc.cpuN, systemc.smmu0, systemc.DEVICE, and one per RTL model. Signal
// names are listed in docs/waves.md; wave save files rely on them.
#ifndef SHOOTDOWN_COSIM_WAVES_WAVES_H
#define SHOOTDOWN_COSIM_WAVES_WAVES_H

#include <map>
#include <string>
#include <vector>

#include "cosim/observe/event_log.h"
#include "cosim/rtl/rtl_tlb_engine.h"
#include "cosim/rtl/vcd_file.h"

namespace shootdown::cosim {

class Waves : public EventSubscriber {
 public:
  /// All outlive the waves.
  Waves(const EventLog& log, const hw::Simulation& simulation, RtlContext& context,
        const std::vector<RtlTlbEngine*>& rtl);
  ~Waves() override;
  /// Throws std::runtime_error if the file cannot be written.
  void open(const std::string& path);
  void on_event(const Event& event) override;
  /// False if some of the file could not be written.
  bool close();

 private:
  struct Software {
    VcdFile::Signal thread{}, function{}, flush{}, notifier{}, fault{}, tlbi{}, pte{}, pte_va{};
  };
  struct Translation {
    VcdFile::Signal lookups{}, lookup_va{}, lookup_outcome{}, walk{}, walk_level{}, walk_va{},
        fills{}, fill_va{}, invalidations{}, invalidate{}, faults{}, fault{}, fault_va{};
    std::uint64_t lookup_count{}, fill_count{}, invalidation_count{}, fault_count{};
  };
  struct Queues {
    VcdFile::Signal command{}, commands{}, syncs{}, event{}, events{}, stalled{};
    std::uint64_t command_count{}, sync_count{}, event_count{}, stall_count{};
  };
  struct Device {
    VcdFile::Signal access_va{}, writes{}, accesses{}, retries{};
    std::uint64_t access_count{}, retry_count{};
  };

  void declare();
  /// Writes what belongs to earlier times.
  void advance();
  Translation make_translation(const std::string& scope);

  void on(const Event& event, const sw::FunctionEnter& e);
  void on(const Event& event, const sw::FunctionExit& e);
  void on(const Event& event, const sw::FlushBegin& e);
  void on(const Event& event, const sw::FlushEnd& e);
  void on(const Event& event, const sw::PteStore& e);
  void on(const Event& event, const sw::FaultHandled& e);
  void on(const Event& event, const hw::TlbiIssued& e);
  void on(const Event& event, const hw::DsbCompleted& e);
  void on(const Event& event, const hw::TlbLookup& e);
  void on(const Event& event, const hw::WalkBegin& e);
  void on(const Event& event, const hw::WalkRead& e);
  void on(const Event& event, const hw::WalkEnd& e);
  void on(const Event& event, const hw::TlbFill& e);
  void on(const Event& event, const hw::TlbInvalidate& e);
  void on(const Event& event, const hw::TranslationFault& e);
  void on(const Event& event, const hw::StallResumed& e);
  void on(const Event& event, const hw::CommandFetched& e);
  void on(const Event& event, const hw::SyncCompleted& e);
  void on(const Event& event, const hw::EventRecorded& e);
  void on(const Event& event, const hw::AccessDone& e);
  void on(const Event& event, const hw::DeviceRetry& e);
  template <class Other>
  void on(const Event&, const Other&) {}
  void show_function(const Event& event);
  ActorId device_behind(ActorId mmu, const hw::Requester& requester) const;

  const EventLog& log_;
  const hw::Simulation& simulation_;
  std::vector<RtlTlbEngine*> rtl_;
  VcdFile file_;
  std::map<ActorId, Software> software_;
  std::map<ActorId, Translation> translation_;
  std::map<ActorId, Queues> queues_;
  std::map<ActorId, Device> devices_;
  std::map<ThreadId, std::vector<const char*>> stacks_;
  std::uint64_t now_ps_{};
};

}  // namespace shootdown::cosim

#endif
