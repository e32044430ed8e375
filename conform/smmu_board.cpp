#include "conform/smmu_board.h"

#include <string>
#include <utility>

namespace shootdown::conform {

namespace {
constexpr std::uint64_t kPicosecondsPerCycle = 1000;
constexpr std::uint64_t kForEverPs = std::uint64_t{1} << 62;
constexpr unsigned kPollCycles = 20;
constexpr unsigned kPollsAtMost = 1'000'000;
}  // namespace

void SmmuBoard::Observer::write(const hw::Event& event) {
  if (const auto* access = event.get<hw::AccessDone>())
    done.insert_or_assign(access->access_id, *access);
}

void SmmuBoard::Ram::b_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time&) {
  const arch::PhysAddr address{trans.get_address()};
  const unsigned bytes = trans.get_data_length();
  if (!memory_.contains(address, bytes)) {
    trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  if (trans.is_read()) {
    memory_.read(address, trans.get_data_ptr(), bytes);
  } else {
    Replaced replaced{address, std::vector<std::uint8_t>(bytes)};
    memory_.read(address, replaced.bytes.data(), bytes);
    writes.push_back(std::move(replaced));
    memory_.write(address, trans.get_data_ptr(), bytes);
  }
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

SmmuBoard::SmmuBoard(const hw::SmmuConfig& config, arch::PhysAddr base, std::uint64_t bytes)
    : features_(config.features),
      simulation_(sc_core::sc_time::from_value(kPicosecondsPerCycle)),
      memory_(base, bytes),
      ram_("memory", memory_),
      interconnect_("interconnect", sc_core::SC_ZERO_TIME),
      dvm_(simulation_, 1),
      smmu_(std::make_unique<hw::Smmu>("smmu", simulation_, dvm_, config, nullptr)),
      host_(simulation_, "host", [this] { script_(); }) {
  interconnect_.add_window(base, bytes, false);
  interconnect_.out.bind(ram_.in);
  smmu_->bus.out.bind(interconnect_.in);
  registers_.out.bind(smmu_->registers_in);
  device_.out.bind(smmu_->devices);
  for (unsigned number = 0; number < kDevices; ++number) {
    devices_.push_back(std::make_unique<Device>(*this, number));
    devices_.back()->port.out.bind(smmu_->devices);
  }
  smmu_->events.bind(observer_);
  simulation_.elaborate();
}

SmmuBoard::Device::Device(SmmuBoard& board, unsigned number)
    : port(("device" + std::to_string(number)).c_str()),
      process(board.simulation_, ("dma" + std::to_string(number)).c_str(),
              [this, &board] { result = board.perform(port, access, data, bytes); }) {}

SmmuBoard::~SmmuBoard() {
  kernel_.make_current();
  simulation_.abort_all();
}

void SmmuBoard::reset() {
  memory_.reset();
  dvm_.reset();
  smmu_->reset();
  observer_.done.clear();
  for (auto& device : devices_) device->result.reset();
  ram_.writes.clear();
  access_id_ = 0;
}

void SmmuBoard::run(std::function<void()> script) {
  kernel_.make_current();
  simulation_.abort_all();
  reset();
  script_ = std::move(script);
  simulation_.begin_run();
  dvm_.start();
  smmu_->start();
  host_.start();
  simulation_.run_until(kForEverPs);
}

bool SmmuBoard::transport(Port& port, tlm::tlm_generic_payload& payload) {
  sc_core::sc_time delay;
  payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  port.out->b_transport(payload, delay);
  simulation_.sleep(delay);
  return payload.is_response_ok();
}

std::uint64_t SmmuBoard::read_register(std::uint32_t offset, unsigned bytes) {
  std::uint64_t value = 0;
  tlm::tlm_generic_payload payload;
  payload.set_read();
  payload.set_address(offset);
  payload.set_data_ptr(reinterpret_cast<unsigned char*>(&value));
  payload.set_data_length(bytes);
  transport(registers_, payload);
  return value;
}

void SmmuBoard::write_register(std::uint32_t offset, std::uint64_t value, unsigned bytes) {
  tlm::tlm_generic_payload payload;
  payload.set_write();
  payload.set_address(offset);
  payload.set_data_ptr(reinterpret_cast<unsigned char*>(&value));
  payload.set_data_length(bytes);
  transport(registers_, payload);
}

bool SmmuBoard::wait_until(const std::function<bool()>& condition) {
  for (unsigned i = 0; i < kPollsAtMost; ++i) {
    if (condition()) return true;
    simulation_.sleep_cycles(kPollCycles);
  }
  return false;
}

SmmuBoard::AccessResult SmmuBoard::dma(const Access& access, std::uint8_t* data, unsigned bytes) {
  return perform(device_, access, data, bytes);
}

void SmmuBoard::launch(unsigned device, const Access& access, std::uint8_t* data, unsigned bytes) {
  Device& one = *devices_[device];
  one.access = access;
  one.data = data;
  one.bytes = bytes;
  one.result.reset();
  one.process.start();
}

SmmuBoard::AccessResult SmmuBoard::perform(Port& port, const Access& access, std::uint8_t* data,
                                           unsigned bytes) {
  hw::StreamExtension stream;
  stream.stream_id = access.stream_id;
  stream.substream_id = access.substream_id;
  stream.privileged = access.privileged;
  stream.instruction = access.instruction;
  stream.kind = access.kind;
  stream.no_write = access.no_write;
  stream.page_request = access.page_request;
  stream.access_id = ++access_id_;
  tlm::tlm_generic_payload payload;
  payload.set_command(access.write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
  payload.set_address(access.address.value);
  payload.set_data_ptr(data);
  payload.set_data_length(bytes);
  payload.set_extension(&stream);
  // A payload frees the extensions that it has; this one is on the stack, and a run may be aborted.
  struct Clear {
    tlm::tlm_generic_payload& payload;
    hw::StreamExtension& stream;
    ~Clear() { payload.clear_extension(&stream); }
  } const clear{payload, stream};
  AccessResult result;
  result.ok = transport(port, payload);
  result.answer = stream.answer;
  if (const auto done = observer_.done.find(stream.access_id); done != observer_.done.end()) {
    result.output = done->second.pa;
    result.bypass = done->second.source == hw::TranslationSource::kBypass;
    observer_.done.erase(done);
  }
  return result;
}

}  // namespace shootdown::conform
