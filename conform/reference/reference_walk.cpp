#include "conform/reference/reference_walk.h"

#include "conform/reference/reference_bits.h"

namespace shootdown::conform::reference {

namespace {

FaultClass class_of(Fetch::For what_for) {
  switch (what_for) {
    case Fetch::For::kCd:
      return FaultClass::kCd;
    case Fetch::For::kStage1Table:
      return FaultClass::kTable;
    default:
      return FaultClass::kInput;
  }
}

Fault stage1_fault(EventType type) { return {.type = type}; }

/// Section 7.3.12: an external abort on a stage 1 descriptor is CLASS TT, unlike all other faults
/// of stage 1.
Fault stage1_external_abort(std::uint64_t fetch_address) {
  return {.type = EventType::kWalkEabt,
          .fault_class = FaultClass::kTable,
          .fetch_address = fetch_address};
}

/// Section 3.4.1: the bits above the table's range all equal bit 55, which chose the table. Bits
/// [63:56] do not count if they are a tag.
bool in_range(std::uint64_t va, unsigned input_bits, bool top_byte_ignored, bool upper) {
  const unsigned top = top_byte_ignored ? 55 : 63;
  const std::uint64_t above = bits(va, top, input_bits);
  return above == (upper ? ones(top - input_bits + 1) : 0);
}

std::uint64_t without_tag(std::uint64_t va) { return bit(va, 55) ? va | ~ones(56) : va & ones(56); }

/// Device memory, of a stage 2 leaf: MemAttr[3:2] of zero, or with S2FWB MemAttr[2] of zero.
bool stage2_device(std::uint64_t leaf, bool fwb) {
  return fwb ? !bit(leaf, 4) : bits(leaf, 5, 4) == 0;
}

}  // namespace

struct Walker::Stage1Input {
  ContextDescriptor::Half half;
  Geometry geometry;
  std::uint64_t va{};  ///< without tag
};

struct Walker::Stage1Leaf {
  Descriptor descriptor;
  Hierarchy hierarchy;
  std::uint64_t output{};
};

Walker::Walker(const Features& features, const Registers& registers, const StreamTableEntry& ste,
               const Transaction& transaction, Memory& memory)
    : features_(features),
      registers_(registers),
      ste_(ste),
      transaction_(transaction),
      memory_(memory),
      world_(ste.world(features, registers)),
      va_(transaction.address) {}

Access Walker::transaction_access() const {
  return {.write = transaction_.write,
          .instruction = transaction_.instruction,
          .privileged = transaction_.privileged};
}

bool Walker::update(Descriptor& descriptor, std::uint64_t desired) {
  if (desired == descriptor.value) return true;
  if (!memory_.compare_exchange(descriptor.fetch, descriptor.value, desired)) return false;
  descriptor.value = desired;
  return true;
}

// --- Stage 2 ------------------------------------------------------------------------------------

Fetch Walker::stage2_fetch(std::uint64_t ipa, Fetch::For what_for, bool with_stage1) const {
  Fetch fetch;
  fetch.kind = Fetch::Kind::kStage2;
  fetch.stream_id = transaction_.stream_id;
  fetch.substream_id = transaction_.substream_id.value_or(0);
  fetch.world = world_;
  fetch.asid = asid_;
  fetch.vmid = ste_.vmid_tag(features_, registers_);
  fetch.aset = aset_;
  fetch.has_stage1 = with_stage1;
  fetch.input = ipa;
  fetch.transaction_va = va_;
  fetch.granule_shift = ste_.s2_granule_shift();
  fetch.what_for = what_for;
  return fetch;
}

Result<Walker::Descriptor> Walker::stage2_leaf(std::uint64_t ipa, Fetch::For what_for,
                                               bool with_stage1) {
  const Geometry geometry = ste_.s2_geometry(features_);
  Fault fault{.stage2 = true, .fault_class = class_of(what_for), .ipa = ipa};

  fault.type = EventType::kTranslation;
  if (!fits(ipa, geometry.input_bits)) return fault;

  Fetch fetch = stage2_fetch(ipa, what_for, with_stage1);
  std::uint64_t table = geometry.start_table(ste_.s2_ttb);
  for (int level = geometry.start_level;; ++level) {
    fetch.address = table + geometry.offset(ipa, level);
    fetch.level = level;
    fetch.start_level_bits = geometry.input_bits - geometry.shift(level);
    std::uint64_t value = 0;
    if (!memory_.read(fetch, &value)) {
      fault.type = EventType::kWalkEabt;
      fault.fetch_address = fetch.address;
      return fault;
    }
    const DescriptorType type = descriptor_type(value, level, geometry, features_);
    fault.type = EventType::kTranslation;
    if (type == DescriptorType::kInvalid) return fault;

    const bool leaf = type == DescriptorType::kLeaf;
    const std::uint64_t output = leaf ? leaf_base(value, level, geometry, features_)
                                      : next_table(value, geometry, features_);
    fault.type = EventType::kAddrSize;
    if (!fits(output, geometry.output_bits)) return fault;
    if (leaf) return Descriptor{.fetch = fetch, .ipa = ipa, .value = value};
    table = output;
  }
}

Result<std::uint64_t> Walker::stage2(std::uint64_t ipa, const Access& access, Fetch::For what_for,
                                     bool with_stage1) {
  auto walked = stage2_leaf(ipa, what_for, with_stage1);
  if (const Fault* fault = std::get_if<Fault>(&walked)) return *fault;
  Descriptor& leaf = std::get<Descriptor>(walked);

  Fault fault{.stage2 = true, .fault_class = class_of(what_for), .ipa = ipa};
  const bool updates_access = ste_.s2_ha;
  const bool updates_dirty = ste_.s2_ha && ste_.s2_hd;

  const bool accessed = (leaf.value & kAccessFlag) != 0;
  fault.type = EventType::kAccess;
  if (!accessed && !updates_access && !ste_.s2_affd) return fault;

  fault.type = EventType::kPermission;
  fault.table_read = !access.write;
  if (!stage2_permits(leaf.value, access, features_.xnx, updates_dirty)) return fault;
  // Section 5.2, S2PTW: protected table walk, for both stages only.
  const bool own_access = what_for != Fetch::For::kInput;
  const bool fwb = features_.fwb && ste_.s2_fwb;
  if (own_access && ste_.s2_ptw && stage2_device(leaf.value, fwb)) return fault;

  std::uint64_t desired = leaf.value;
  if (updates_access) desired |= kAccessFlag;
  // Permitted, though S2AP[1] is clear: DBM let it.
  if (updates_dirty && access.write) desired |= kStage2Write;
  if (!update(leaf, desired)) return Fault{.type = EventType::kRestart};

  const Geometry geometry = ste_.s2_geometry(features_);
  const int level = leaf.fetch.level;
  return leaf_base(leaf.value, level, geometry, features_) | (ipa & ones(geometry.shift(level)));
}

// --- Stage 1 ------------------------------------------------------------------------------------

/// Which of TTB0 and TTB1, and whether the address is within what it covers.
Result<Walker::Stage1Input> Walker::select_table(const ContextDescriptor& cd) const {
  const std::uint64_t va = transaction_.address;
  const bool one_table = world_ == Fetch::World::kEl2;
  const bool upper = !one_table && bit(va, 55);
  const ContextDescriptor::Half& half = cd.half[upper ? 1 : 0];

  // EPD is first: with it, TxSZ is not even looked at (section 5.4.1.1).
  if (!one_table && half.walks_disabled) return stage1_fault(EventType::kTranslation);
  const Geometry geometry = half.geometry(features_.output_bits(cd.ips));
  if (!in_range(va, geometry.input_bits, half.top_byte_ignored, upper)) {
    return stage1_fault(EventType::kTranslation);
  }
  if (features_.e0pd && !one_table && half.no_unprivileged && !transaction_.privileged) {
    return stage1_fault(EventType::kTranslation);
  }
  return Stage1Input{
      .half = half, .geometry = geometry, .va = half.top_byte_ignored ? without_tag(va) : va};
}

Result<Walker::Descriptor> Walker::read_stage1(const ContextDescriptor& cd,
                                               const Stage1Input& input, int level,
                                               std::uint64_t address) {
  Descriptor descriptor;
  descriptor.ipa = address;
  Fetch& fetch = descriptor.fetch;
  fetch.kind = Fetch::Kind::kStage1;
  fetch.address = address;
  if (ste_.stage2()) {
    const auto physical = stage2(address, Access{}, Fetch::For::kStage1Table, true);
    if (const Fault* fault = std::get_if<Fault>(&physical)) return *fault;
    fetch.address = std::get<std::uint64_t>(physical);
  }
  fetch.stream_id = transaction_.stream_id;
  fetch.substream_id = transaction_.substream_id.value_or(0);
  fetch.world = world_;
  fetch.asid = asid_;
  fetch.vmid = ste_.vmid_tag(features_, registers_);
  fetch.aset = cd.aset;
  fetch.has_stage1 = true;
  fetch.input = input.va;
  fetch.transaction_va = va_;
  fetch.level = level;
  fetch.granule_shift = input.geometry.granule_shift;
  fetch.start_level_bits = input.geometry.input_bits - input.geometry.shift(level);
  if (!memory_.read(fetch, &descriptor.value)) return stage1_external_abort(fetch.address);
  return descriptor;
}

Result<Walker::Stage1Leaf> Walker::stage1_leaf(const ContextDescriptor& cd,
                                               const Stage1Input& input) {
  const Geometry& geometry = input.geometry;
  Hierarchy hierarchy;
  std::uint64_t table = geometry.start_table(input.half.ttb);
  for (int level = geometry.start_level;; ++level) {
    const auto read = read_stage1(cd, input, level, table + geometry.offset(input.va, level));
    if (const Fault* fault = std::get_if<Fault>(&read)) return *fault;
    const Descriptor& descriptor = std::get<Descriptor>(read);

    const DescriptorType type = descriptor_type(descriptor.value, level, geometry, features_);
    if (type == DescriptorType::kInvalid) return stage1_fault(EventType::kTranslation);
    const bool leaf = type == DescriptorType::kLeaf;
    const std::uint64_t output = leaf ? leaf_base(descriptor.value, level, geometry, features_)
                                      : next_table(descriptor.value, geometry, features_);
    if (!fits(output, geometry.output_bits)) return stage1_fault(EventType::kAddrSize);
    if (leaf) {
      return Stage1Leaf{.descriptor = descriptor,
                        .hierarchy = hierarchy,
                        .output = output | (input.va & ones(geometry.shift(level)))};
    }
    const bool ignore_hierarchy = features_.had && input.half.no_hierarchy;
    if (!ignore_hierarchy) hierarchy.add(descriptor.value);
    table = output;
  }
}

Result<std::uint64_t> Walker::stage1(const ContextDescriptor& cd) {
  const auto selected = select_table(cd);
  if (const Fault* fault = std::get_if<Fault>(&selected)) return *fault;
  const Stage1Input& input = std::get<Stage1Input>(selected);
  va_ = input.va;

  auto walked = stage1_leaf(cd, input);
  if (const Fault* fault = std::get_if<Fault>(&walked)) return *fault;
  Stage1Leaf& leaf = std::get<Stage1Leaf>(walked);

  // {HD, HA} of {1, 0} is reserved and acts as off (section 5.4, CD.HA).
  const bool updates_access = cd.ha;
  const bool updates_dirty = cd.ha && cd.hd;
  const std::uint64_t value = leaf.descriptor.value;
  if ((value & kAccessFlag) == 0 && !updates_access && !cd.affd) {
    return stage1_fault(EventType::kAccess);
  }
  const Access access = transaction_access();
  if (!stage1_permits(value, leaf.hierarchy, access, cd, world_, updates_dirty)) {
    return stage1_fault(EventType::kPermission);
  }

  std::uint64_t desired = value;
  if (updates_access) desired |= kAccessFlag;
  // Permitted, though AP[2] is set: DBM let it.
  if (updates_dirty && access.write) desired &= ~kStage1ReadOnly;
  if (desired != value && ste_.stage2()) {
    // Section 3.13.5: the update is a write, so stage 2 has to let it.
    const auto writable =
        stage2(leaf.descriptor.ipa, Access{.write = true}, Fetch::For::kStage1Table, true);
    if (const Fault* fault = std::get_if<Fault>(&writable)) return *fault;
    leaf.descriptor.fetch.address = std::get<std::uint64_t>(writable);
  }
  if (!update(leaf.descriptor, desired)) return Fault{.type = EventType::kRestart};
  return leaf.output;
}

Result<std::uint64_t> Walker::translate(const ContextDescriptor& cd) {
  if (world_ != Fetch::World::kEl2) asid_ = cd.asid;
  aset_ = cd.aset;
  const auto intermediate = stage1(cd);
  if (!ste_.stage2() || std::holds_alternative<Fault>(intermediate)) return intermediate;
  return stage2(std::get<std::uint64_t>(intermediate), transaction_access(), Fetch::For::kInput,
                true);
}

}  // namespace shootdown::conform::reference
