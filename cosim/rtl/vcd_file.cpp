#include "cosim/rtl/vcd_file.h"

#include <verilated.h>
#include <verilated_vcd_c.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <vector>

#include "cosim/rtl/rtl_context.h"

namespace shootdown::cosim {

namespace {

/// Verilator's runtime ends the program on a failed write, and waits for itself on the way.
class WholeFile : public VerilatedVcdFile {
 public:
  ssize_t write(const char* data, ssize_t bytes) override {
    for (ssize_t done = 0; done < bytes && whole_;) {
      const ssize_t got = VerilatedVcdFile::write(data + done, bytes - done);
      if (got < 0 && errno == EINTR) continue;
      whole_ = got > 0;
      done += got;
    }
    return bytes;
  }
  bool whole() const { return whole_; }

 private:
  bool whole_{true};
};

}  // namespace

struct VcdFile::Implementation : public VerilatedModel {
  struct Entry {
    std::string scope;
    std::string name;
    unsigned width{};
    bool text{};
    std::uint32_t code{};              // relative to the first
    std::vector<std::uint32_t> words;  // least significant first
    bool changed{};
  };

  explicit Implementation(RtlContext& context) : VerilatedModel(context.verilated()) {}

  const char* hierName() const override { return "shootdown"; }
  const char* modelName() const override { return "shootdown"; }
  unsigned threads() const override { return 1; }
  std::unique_ptr<VerilatedTraceConfig> traceConfig() const override {
    return std::make_unique<VerilatedTraceConfig>(false, false, false);
  }

  void attach() {
    file.spTrace()->addModel(this);
    file.spTrace()->addInitCb(&Implementation::declare, this);
    file.spTrace()->addFullCb(&Implementation::write_all, this);
    file.spTrace()->addChgCb(&Implementation::write_changed, this);
  }

  static void declare(void* self, VerilatedVcd* vcd, std::uint32_t code) {
    auto& me = *static_cast<Implementation*>(self);
    me.first_code = code;
    std::uint32_t next = 0;
    // Grouped by scope, each scope opened once.
    std::map<std::string, std::vector<Entry*>> scopes;
    for (Entry& entry : me.entries) scopes[entry.scope].push_back(&entry);
    for (auto& [scope, members] : scopes) {
      std::string prefix = scope + ".";
      std::replace(prefix.begin(), prefix.end(), '.', ' ');
      vcd->pushNamePrefix(prefix);
      for (Entry* entry : members) {
        entry->code = next;
        const int top = static_cast<int>(entry->width) - 1;
        if (entry->width == 1) {
          vcd->declBit(code + next, entry->name.c_str(), false, -1);
          next += 1;
        } else if (entry->width <= 32) {
          vcd->declBus(code + next, entry->name.c_str(), false, -1, top, 0);
          next += 1;
        } else if (entry->width <= 64) {
          vcd->declQuad(code + next, entry->name.c_str(), false, -1, top, 0);
          next += 2;
        } else {
          vcd->declArray(code + next, entry->name.c_str(), false, -1, top, 0);
          next += static_cast<std::uint32_t>(entry->words.size());
        }
      }
      vcd->popNamePrefix(1);
    }
  }

  static void write_all(void* self, VerilatedVcd::Buffer* buffer) {
    auto& me = *static_cast<Implementation*>(self);
    for (Entry& entry : me.entries) me.write(entry, buffer);
  }
  static void write_changed(void* self, VerilatedVcd::Buffer* buffer) {
    auto& me = *static_cast<Implementation*>(self);
    for (Entry& entry : me.entries) {
      if (entry.changed) me.write(entry, buffer);
    }
  }
  void write(Entry& entry, VerilatedVcd::Buffer* buffer) {
    entry.changed = false;
    std::uint32_t* old = buffer->oldp(first_code + entry.code);
    const int width = static_cast<int>(entry.width);
    if (entry.width == 1) {
      buffer->fullBit(old, static_cast<CData>(entry.words[0]));
    } else if (entry.width <= 32) {
      buffer->fullIData(old, entry.words[0], width);
    } else if (entry.width <= 64) {
      buffer->fullQData(old, entry.words[0] | std::uint64_t{entry.words[1]} << 32, width);
    } else {
      buffer->fullWData(old, entry.words.data(), width);
    }
  }

  WholeFile bytes;
  VerilatedVcdC file{&bytes};
  std::vector<Entry> entries;
  std::uint32_t first_code{};
  bool dumped{};
  std::uint64_t last_ps{};
};

VcdFile::VcdFile(RtlContext& context)
    : implementation_(std::make_unique<Implementation>(context)) {}

VcdFile::~VcdFile() { close(); }

VcdFile::Signal VcdFile::add_bits(const std::string& scope, const std::string& name,
                                  unsigned width) {
  implementation_->entries.push_back({.scope = scope,
                                      .name = name,
                                      .width = width,
                                      .text = false,
                                      .code = 0,
                                      .words = std::vector<std::uint32_t>(2),
                                      .changed = false});
  return implementation_->entries.size() - 1;
}

VcdFile::Signal VcdFile::add_text(const std::string& scope, const std::string& name,
                                  unsigned characters) {
  const unsigned words = (characters + 3) / 4;
  implementation_->entries.push_back({.scope = scope,
                                      .name = name,
                                      .width = 32 * std::max(words, 3U),
                                      .text = true,
                                      .code = 0,
                                      .words = std::vector<std::uint32_t>(std::max(words, 3U)),
                                      .changed = false});
  return implementation_->entries.size() - 1;
}

bool VcdFile::open(const std::string& path) {
  implementation_->attach();
  implementation_->file.set_time_unit("1ps");
  implementation_->file.set_time_resolution("1ps");
  implementation_->file.open(path.c_str());
  return implementation_->file.isOpen();
}

void VcdFile::set(Signal signal, std::uint64_t value) {
  Implementation::Entry& entry = implementation_->entries[signal];
  const auto low = static_cast<std::uint32_t>(value);
  const auto high = static_cast<std::uint32_t>(value >> 32);
  if (entry.words[0] == low && entry.words[1] == high) return;
  entry.words[0] = low;
  entry.words[1] = high;
  entry.changed = true;
}

void VcdFile::set_text(Signal signal, const std::string& text) {
  Implementation::Entry& entry = implementation_->entries[signal];
  std::vector<std::uint32_t> words(entry.words.size());
  // Packed ASCII: the first character is the most significant of those used.
  const std::size_t length = std::min(text.size(), words.size() * 4);
  for (std::size_t i = 0; i < length; ++i) {
    const std::size_t byte = length - 1 - i;
    words[byte / 4] |= std::uint32_t{static_cast<unsigned char>(text[i])} << (8 * (byte % 4));
  }
  if (words == entry.words) return;
  entry.words = std::move(words);
  entry.changed = true;
}

void VcdFile::dump(std::uint64_t time_ps) {
  Implementation& me = *implementation_;
  if (!me.file.isOpen() || (me.dumped && time_ps <= me.last_ps)) return;
  me.file.dump(time_ps);
  me.dumped = true;
  me.last_ps = time_ps;
}

bool VcdFile::close() {
  if (implementation_->file.isOpen()) implementation_->file.close();
  return implementation_->bytes.whole();
}

bool VcdFile::is_open() const { return implementation_->file.isOpen(); }

VerilatedVcdC& VcdFile::verilated() { return implementation_->file; }

}  // namespace shootdown::cosim
