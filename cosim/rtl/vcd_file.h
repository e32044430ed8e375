// One VCD file for signals of our own and for every signal of the Verilated models, on one time
// base. Uses the trace interface of Verilator's runtime, which is internal to it: all of that is in
// vcd_file.cpp.
#ifndef SHOOTDOWN_COSIM_RTL_VCD_FILE_H
#define SHOOTDOWN_COSIM_RTL_VCD_FILE_H

#include <cstdint>
#include <memory>
#include <string>

class VerilatedVcdC;

namespace shootdown::cosim {

class RtlContext;

class VcdFile {
 public:
  /// The context of the models that are traced into it; outlives the file.
  explicit VcdFile(RtlContext& context);
  ~VcdFile();
  VcdFile(const VcdFile&) = delete;
  VcdFile& operator=(const VcdFile&) = delete;

  using Signal = std::size_t;
  /// Declares a signal before open(). `scope` is dotted: "software.cpu0". 1 to 64 bits.
  Signal add_bits(const std::string& scope, const std::string& name, unsigned width);
  /// A text of at most `characters`, as packed ASCII (the data format ASCII shows it).
  Signal add_text(const std::string& scope, const std::string& name, unsigned characters);

  /// False if the file cannot be written.
  bool open(const std::string& path);
  void set(Signal signal, std::uint64_t value);
  void set_text(Signal signal, const std::string& text);
  /// Writes everything that has changed since the last call, as of `time_ps`. Times ascend; a call
  /// for a time that was written already is ignored.
  void dump(std::uint64_t time_ps);
  /// False if some of it could not be written.
  bool close();
  bool is_open() const;

  /// For Verilated models, before open().
  VerilatedVcdC& verilated();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace shootdown::cosim

#endif
