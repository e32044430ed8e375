#include "conform/reference/reference_lookup.h"

#include <algorithm>
#include <array>

#include "conform/reference/reference_bits.h"

namespace shootdown::conform::reference {

namespace {

constexpr unsigned kLog2Structure = 6;   // an STE or CD is 64 bytes
constexpr unsigned kLog2Descriptor = 3;  // an L1STD or L1CD is 8
constexpr unsigned kLargestSpan = 11;
constexpr unsigned kStructureWords = 8;

std::uint64_t entry(std::uint64_t table, std::uint64_t index, unsigned log2_entry) {
  return table + (index << log2_entry);
}

// --- Stream table -------------------------------------------------------------------------------

struct StreamTable {
  StreamTable(const Features& features, const Registers& registers);

  unsigned log2_size, effective_log2_size;
  bool two_level;
  unsigned split;
  std::uint64_t base;
};

StreamTable::StreamTable(const Features& features, const Registers& registers)
    : log2_size(static_cast<unsigned>(bits(registers.strtab_base_cfg, 5, 0))),
      effective_log2_size(std::min(log2_size, features.sid_size)),
      // Reserved values of FMT act as linear, those of SPLIT as 6 (section 6.3.25).
      two_level(features.two_level_streams && bits(registers.strtab_base_cfg, 17, 16) == 1),
      split(static_cast<unsigned>(bits(registers.strtab_base_cfg, 10, 6))),
      base(address_bits(registers.strtab_base, 55, 6)) {
  if (split != 8 && split != 10) split = 6;
  // Section 6.3.24: bits beyond the OAS are RES0; they need not even be stored. The alignment
  // follows LOG2SIZE as written, not capped to SIDSIZE.
  base &= ones(features.oas_bits);
  unsigned log2_bytes = log2_size + kLog2Structure;
  if (two_level) {
    const unsigned index_bits = log2_size > split ? log2_size - split : 0;
    log2_bytes = std::max(6U, index_bits + kLog2Descriptor);
  }
  base = align_down(base, log2_bytes);
}

Fault bad_streamid() { return {.type = EventType::kBadStreamid}; }

Fault ste_fetch_abort(std::uint64_t address) {
  return {.type = EventType::kSteFetch, .fetch_address = address};
}

Fetch structure_fetch(Fetch::Kind kind, std::uint64_t address, unsigned words,
                      std::uint32_t stream_id, std::uint32_t substream_id) {
  Fetch fetch;
  fetch.kind = kind;
  fetch.address = address;
  fetch.words = words;
  fetch.stream_id = stream_id;
  fetch.substream_id = substream_id;
  return fetch;
}

Result<std::uint64_t> ste_address(const Features& features, const StreamTable& table,
                                  std::uint32_t stream_id, Memory& memory) {
  if (!fits(stream_id, table.effective_log2_size)) return bad_streamid();
  if (!table.two_level) return entry(table.base, stream_id, kLog2Structure);

  const std::uint64_t l1_address = entry(table.base, stream_id >> table.split, kLog2Descriptor);
  std::uint64_t l1std = 0;
  if (!memory.read(structure_fetch(Fetch::Kind::kL1std, l1_address, 1, stream_id, 0), &l1std)) {
    return ste_fetch_abort(l1_address);
  }
  const auto span = static_cast<unsigned>(bits(l1std, 4, 0));
  if (span == 0 || span > kLargestSpan || span > table.split + 1) return bad_streamid();
  const std::uint64_t index = stream_id & ones(table.split);
  if (!fits(index, span - 1)) return bad_streamid();

  const std::uint64_t l2 = align_down(address_bits(l1std, 55, 6), span - 1 + kLog2Structure);
  const std::uint64_t address = entry(l2, index, kLog2Structure);
  // Section 3.4.3, note 5: or the address is truncated.
  if (!fits(address, features.oas_bits)) return ste_fetch_abort(address & ones(features.oas_bits));
  return address;
}

// --- Context descriptors ------------------------------------------------------------------------

/// Reads of one CD, in physical or intermediate space.
class CdReader {
 public:
  CdReader(const StreamTableEntry& ste, std::uint32_t stream_id, std::uint32_t substream_id,
           Walker& walker, Memory& memory)
      : ste_(ste),
        stream_id_(stream_id),
        substream_id_(substream_id),
        walker_(walker),
        memory_(memory) {}

  template <std::size_t kWords>
  Result<std::array<std::uint64_t, kWords>> read(Fetch::Kind kind, std::uint64_t address) {
    if (ste_.stage2()) {
      // CDs are data, and only ever read (section 7.3.16).
      const auto physical = walker_.stage2(address, Access{}, Fetch::For::kCd, true);
      if (const Fault* fault = std::get_if<Fault>(&physical)) return *fault;
      address = std::get<std::uint64_t>(physical);
    }
    std::array<std::uint64_t, kWords> words{};
    if (!memory_.read(structure_fetch(kind, address, kWords, stream_id_, substream_id_),
                      words.data())) {
      return Fault{.type = EventType::kCdFetch, .fetch_address = address};
    }
    return words;
  }

 private:
  const StreamTableEntry& ste_;
  std::uint32_t stream_id_, substream_id_;
  Walker& walker_;
  Memory& memory_;
};

Result<std::uint64_t> cd_address(const Features& features, const StreamTableEntry& ste,
                                 std::uint32_t substream_id, CdReader& reader) {
  if (!ste.substreams(features)) return ste.s1_context_ptr;

  // Section 5.2, S1Fmt: the tables are aligned to their size, and RES0 bits taken as zero.
  const bool two_level = ste.s1_format == 1 || ste.s1_format == 2;
  if (!two_level) {
    const std::uint64_t table = align_down(ste.s1_context_ptr, ste.s1_cd_max + kLog2Structure);
    return entry(table, substream_id, kLog2Structure);
  }
  const unsigned split = ste.s1_format == 1 ? 6 : 10;
  const unsigned index_bits = ste.s1_cd_max > split ? ste.s1_cd_max - split : 0;
  const std::uint64_t l1 =
      align_down(ste.s1_context_ptr, std::max(6U, index_bits + kLog2Descriptor));
  const auto read =
      reader.read<1>(Fetch::Kind::kL1cd, entry(l1, substream_id >> split, kLog2Descriptor));
  if (const Fault* fault = std::get_if<Fault>(&read)) return *fault;
  const std::uint64_t l1cd = std::get<0>(read)[0];

  const Fault bad{.type = EventType::kBadSubstreamid, .substream_id = substream_id};
  if (!bit(l1cd, 0)) return bad;
  const std::uint64_t l2 = address_bits(l1cd, 55, 12);
  // Section 3.4.3, notes 3 and 4: with stage 2, a stage 2 translation fault is allowed as well.
  if (!fits(l2, ste.stage2() ? features.ias_bits() : features.oas_bits)) return bad;
  return entry(align_down(l2, split + kLog2Structure), substream_id & ones(split), kLog2Structure);
}

}  // namespace

Result<StreamTableEntry> find_ste(const Features& features, const Registers& registers,
                                  std::uint32_t stream_id, Memory& memory) {
  const StreamTable table(features, registers);
  const auto found = ste_address(features, table, stream_id, memory);
  if (const Fault* fault = std::get_if<Fault>(&found)) return *fault;
  const std::uint64_t address = std::get<std::uint64_t>(found);

  std::array<std::uint64_t, kStructureWords> words{};
  if (!memory.read(structure_fetch(Fetch::Kind::kSte, address, kStructureWords, stream_id, 0),
                   words.data())) {
    return ste_fetch_abort(address);
  }
  const StreamTableEntry ste(words);
  if (illegal(ste, features)) return Fault{.type = EventType::kBadSte};
  return ste;
}

Result<ContextDescriptor> find_cd(const Features& features, const Registers& registers,
                                  const StreamTableEntry& ste, std::uint32_t stream_id,
                                  std::uint32_t substream_id, Walker& walker, Memory& memory) {
  CdReader reader(ste, stream_id, substream_id, walker, memory);
  const auto found = cd_address(features, ste, substream_id, reader);
  if (const Fault* fault = std::get_if<Fault>(&found)) return *fault;
  const auto words = reader.read<kStructureWords>(Fetch::Kind::kCd, std::get<std::uint64_t>(found));
  if (const Fault* fault = std::get_if<Fault>(&words)) return *fault;
  const ContextDescriptor cd(std::get<0>(words));
  if (illegal(cd, ste, ste.world(features, registers), features)) {
    return Fault{.type = EventType::kBadCd};
  }
  return cd;
}

}  // namespace shootdown::conform::reference
