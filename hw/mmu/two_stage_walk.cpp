#include "hw/mmu/two_stage_walk.h"

#include <algorithm>

namespace shootdown::hw {

using Fault = arch::FaultKind;

TwoStageWalk::TwoStageWalk(const TranslationContext& context, AccessRequest request,
                           const TableReference* start)
    : context_(&context), request_(request) {
  if (context.has_stage1) {
    stage1_.emplace(context.stage1, request, start);
    continue_stage1();
  } else {
    ask_stage2({request.va.value}, Target::kOutput);
  }
}

void TwoStageWalk::continue_stage1() {
  if (stage1_->done()) return finish_stage1();
  const arch::PhysAddr where = stage1_->descriptor_address();
  if (context_->has_stage2) {
    ask_stage2({where.value}, stage1_->wants_update() ? Target::kTableUpdate : Target::kTable);
    return;
  }
  address_ = where;
  need_ = stage1_->wants_update() ? Need::kUpdate : Need::kDescriptor;
}

void TwoStageWalk::finish_stage1() {
  if (stage1_->fault() != Fault::kNone) return fail(stage1_->fault());
  const TlbEntry entry = stage1_->entry();
  if (!context_->has_stage2) return complete(entry);
  // Stage 1 comes first in everything, its permissions included.
  if (refusal_of(entry, request_) == Refusal::kStage1) return fail(Fault::kPermission);
  ask_stage2({entry.translate(request_.va).value}, Target::kOutput);
}

void TwoStageWalk::ask_stage2(arch::IpaAddr ipa, Target target) {
  ipa_ = ipa;
  target_ = target;
  need_ = Need::kStage2;
}

arch::Access TwoStageWalk::stage2_access() const {
  switch (target_) {
    case Target::kTable:
      return arch::Access::kRead;
    case Target::kTableUpdate:
      return arch::Access::kWrite;
    case Target::kOutput:
      return request_.access;
  }
  return arch::Access::kRead;
}

void TwoStageWalk::walk_stage2() {
  stage2_.emplace(context_->stage2, ipa_, stage2_access());
  step_stage2();
}

void TwoStageWalk::step_stage2() {
  if (!stage2_->done()) {
    address_ = stage2_->descriptor_address();
    need_ = stage2_->wants_update() ? Need::kUpdate : Need::kDescriptor;
    return;
  }
  if (stage2_->fault() != Fault::kNone) {
    if (stage2_->fault() == Fault::kWalkAbort) problem_.fetch_address = address_;
    return fail_stage2(stage2_->fault());
  }
  found_stage2_ = stage2_->entry();
  stage2_.reset();
  stage2_done(*found_stage2_);
}

void TwoStageWalk::use_stage2(const TlbEntry& entry) {
  found_stage2_.reset();
  stage2_done(entry);
}

void TwoStageWalk::stage2_done(const TlbEntry& entry) {
  const AccessRequest access{.va = {ipa_.value},
                             .access = stage2_access(),
                             .privileged = request_.privileged,
                             .instruction = target_ == Target::kOutput && request_.instruction};
  // Tables in Device memory are refused like tables that may not be read (S2PTW).
  const bool device = target_ != Target::kOutput && context_->stage2.protect_table_walks &&
                      (entry.attributes & 0xc) == 0;
  if (device || refusal_of(entry, access) != Refusal::kNone) {
    return fail_stage2(Fault::kPermission);
  }
  if (target_ != Target::kOutput) {
    address_ = entry.translate({ipa_.value});
    need_ = target_ == Target::kTable ? Need::kDescriptor : Need::kUpdate;
    return;
  }
  if (!context_->has_stage1) return complete(entry);
  TlbEntry combined = stage1_->entry();
  const std::uint8_t stage1_shift = combined.page_shift;
  combined.page_shift = std::min(stage1_shift, entry.page_shift);
  if (combined.page_shift != stage1_shift) {
    combined.block_shift = stage1_shift;
  }
  combined.page = arch::page_of(request_.va, combined.page_shift);
  combined.output = arch::page_of(entry.translate({ipa_.value}), combined.page_shift);
  combined.ipa = {arch::align_down(ipa_.value, combined.page_shift)};
  combined.stage2 = entry.stage2;
  combined.writable_clean = combined.writable_clean || entry.writable_clean;
  complete(combined);
}

void TwoStageWalk::feed(std::uint64_t descriptor) {
  found_stage2_.reset();
  if (in_stage2()) {
    stage2_->feed(descriptor);
    return step_stage2();
  }
  stage1_->feed(descriptor);
  continue_stage1();
}

void TwoStageWalk::feed_abort() {
  found_stage2_.reset();
  if (in_stage2()) {
    stage2_->feed_abort();
    return step_stage2();
  }
  problem_.fetch_address = address_;
  stage1_->feed_abort();
  continue_stage1();
}

void TwoStageWalk::updated(bool stored) {
  found_stage2_.reset();
  if (in_stage2()) {
    stage2_->updated(stored);
    return step_stage2();
  }
  stage1_->updated(stored);
  continue_stage1();
}

void TwoStageWalk::complete(const TlbEntry& entry) {
  need_ = Need::kNothing;
  has_entry_ = true;
  entry_ = entry;
  problem_ = permission_problem(entry, request_, refusal_of(entry, request_));
}

void TwoStageWalk::fail(Fault type) {
  need_ = Need::kNothing;
  problem_.type = type;
  if (type == Fault::kWalkAbort) problem_.table_walk = true;
}

void TwoStageWalk::fail_stage2(Fault type) {
  need_ = Need::kNothing;
  stage2_.reset();
  problem_.type = type;
  problem_.stage2 = true;
  problem_.ipa = ipa_;
  // What was to be translated decides, also if the descriptor could not be read (section 7.3.12).
  problem_.table_walk = target_ != Target::kOutput;
  problem_.table_write = target_ == Target::kTableUpdate;
}

TranslationProblem permission_problem(const TlbEntry& entry, AccessRequest request,
                                      Refusal refusal) {
  TranslationProblem problem;
  if (refusal == Refusal::kNone) return problem;
  problem.type = Fault::kPermission;
  problem.stage2 = refusal == Refusal::kStage2;
  if (problem.stage2) {
    const std::uint64_t offset = request.va.value - entry.page.value;
    problem.ipa = {entry.ipa.value + offset};
  }
  return problem;
}

}  // namespace shootdown::hw
