// White-box checker of this TLB, for Verilator: its pipeline, state and replacement. What any TLB
// with these ports has to keep is in tlb_port_sva.sv. Keeps its own copy of the request in the match
// stage and its own count of invalidations, and restates matching without the design's functions.
module tlb_inner_sva #(
  parameter  int unsigned NumEntries = 32,
  parameter  int unsigned NumWays = 4,
  localparam int unsigned NumSets = NumEntries / NumWays,
  localparam int unsigned SetWidth = (NumSets > 1) ? $clog2(NumSets) : 1,
  localparam int unsigned WayWidth = (NumWays > 1) ? $clog2(NumWays) : 1,
  localparam int unsigned EntryWidth = (NumEntries > 1) ? $clog2(NumEntries) : 1,
  localparam int unsigned NumNodes = (NumWays > 1) ? NumWays - 1 : 1,
  localparam int unsigned PlruBits = NumSets * NumNodes,
  localparam int unsigned CountWidth = $clog2(NumEntries + 1)
) (
  input logic clk_i,
  input logic rst_ni,

  input logic        req_valid_i,
  input logic        req_ready_o,
  input logic [1:0]  req_op_i,
  input logic [1:0]  req_scope_i,
  input logic [36:0] req_va_page_i,
  input logic [36:0] req_last_page_i,
  input logic [15:0] req_asid_i,
  input logic        req_global_i,
  input logic [1:0]  req_size_i,
  input logic [31:0] req_epoch_i,

  input logic                  rsp_valid_o,
  input logic [1:0]            rsp_op_o,
  input logic                  rsp_dropped_o,
  input logic [CountWidth-1:0] rsp_removed_o,
  input logic [CountWidth-1:0] occupancy_o,
  input logic [31:0]           epoch_o,
  input logic                  busy_o,

  // The match stage.
  input logic                  hit,
  input logic                  fill,      // that is not dropped: the write enable
  input logic                  evict,
  input logic [NumWays-1:0]    match,
  input logic [NumWays-1:0]    set_valid,
  input logic [SetWidth-1:0]   set,
  input logic [NumWays-1:0]    way_onehot,
  input logic [WayWidth-1:0]   way,
  input logic [EntryWidth-1:0] entry,

  // State.
  input logic [PlruBits-1:0]   plru_q,
  input logic [44:0]           store_q [NumEntries],
  input logic [NumEntries-1:0] valid_q,
  input logic [38:0]           page_q [NumEntries],   // {size, page}
  input logic [16:0]           space_q [NumEntries]   // {global, asid}
);

  /////////////
  // Request //
  /////////////

  logic        accept;
  logic        match_valid_q, rsp_valid_q;  // an accepted request in the match, response stage
  logic [1:0]  op_q, rsp_op_q;
  logic [1:0]  scope_q;
  logic [36:0] va_page_q, last_page_q;
  logic [15:0] asid_q;
  logic        global_q;
  logic [1:0]  size_q;
  logic [31:0] fill_epoch_q;
  logic [31:0] epoch_count_q;               // invalidations accepted
  assign accept = req_valid_i && req_ready_o;

  always_ff @(posedge clk_i or negedge rst_ni) begin : follow_control
    if (!rst_ni) begin
      match_valid_q <= 1'b0;
      rsp_valid_q   <= 1'b0;
      epoch_count_q <= '0;
    end else begin
      match_valid_q <= accept;
      rsp_valid_q   <= match_valid_q;
      if (accept && req_op_i == 2'd2) epoch_count_q <= epoch_count_q + 32'd1;
    end
  end

  always_ff @(posedge clk_i) begin : follow_request
    op_q          <= req_op_i;
    scope_q       <= req_scope_i;
    va_page_q     <= req_va_page_i;
    last_page_q   <= req_last_page_i;
    asid_q        <= req_asid_i;
    global_q      <= req_global_i;
    size_q        <= req_size_i;
    fill_epoch_q  <= req_epoch_i;
    rsp_op_q      <= op_q;
  end

  logic in_lookup, in_fill, in_invalidate, in_old_fill;
  assign in_lookup     = match_valid_q && op_q == 2'd0;
  assign in_fill       = match_valid_q && op_q == 2'd1 && fill_epoch_q == epoch_count_q;
  assign in_old_fill   = match_valid_q && op_q == 2'd1 && fill_epoch_q != epoch_count_q;
  assign in_invalidate = match_valid_q && op_q == 2'd2;

  //////////////
  // Response //
  //////////////

  RspTwoCyclesAfterReq_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      rsp_valid_o == rsp_valid_q && (!rsp_valid_q || rsp_op_o == rsp_op_q))
      else $error("RspTwoCyclesAfterReq_A: response without its request, or none for one");

  Busy_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      busy_o == (match_valid_q || rsp_valid_q))
      else $error("Busy_A: busy_o is not that an operation is in flight");

  /////////////
  // Entries //
  /////////////

  // Page number bits that a size compares.
  function automatic logic [36:0] compared_bits(input logic [1:0] size);
    compared_bits = size == 2'd0 ? 37'h1f_ffff_ffff :
                    size == 2'd1 ? 37'h1f_ffff_fe00 : 37'h1f_fffc_0000;
  endfunction

  logic [38:0] used_page;
  logic [16:0] used_space;
  assign used_page  = page_q[entry];
  assign used_space = space_q[entry];

  HitMatchesRequest_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      hit |-> in_lookup && valid_q[entry] &&
          ((used_page[36:0] ^ va_page_q) & compared_bits(used_page[38:37])) == '0 &&
          (used_space[16] || used_space[15:0] == asid_q))
      else $error("HitMatchesRequest_A: hit of an entry for another page or ASID");

  OneWayWritten_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      fill || hit |-> $onehot(way_onehot) && way_onehot[way] &&
          32'(entry) == 32'(set) * NumWays + 32'(way))
      else $error("OneWayWritten_A: not exactly one way used");

  WriteIsFill_A: assert property (@(posedge clk_i) disable iff (!rst_ni) fill == in_fill)
      else $error("WriteIsFill_A: entry written without a fill of this epoch, or the reverse");

  FullSetVictim_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      fill && match == '0 && set_valid == '1 |-> evict && valid_q[entry])
      else $error("FullSetVictim_A: full set without a valid victim");

  FreeWayFirst_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      fill && match == '0 && set_valid != '1 |-> !evict && !valid_q[entry])
      else $error("FreeWayFirst_A: eviction from a set with a free way");

  // The way used last in each set, which tree PLRU never replaces next.
  logic [WayWidth-1:0] last_way_q [NumSets];
  always_ff @(posedge clk_i) begin : follow_use
    if (hit || fill) last_way_q[set] <= way;
  end

  logic last_used_evicted;
  assign last_used_evicted = NumWays > 1 && evict && way == last_way_q[set];

  VictimIsNotLastUsed_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      !last_used_evicted)
      else $error("VictimIsNotLastUsed_A: the entry used last was evicted");

  Occupancy_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      32'(occupancy_o) == 32'($countones(valid_q)))
      else $error("Occupancy_A: occupancy is not the number of valid entries");

  // In the cycle after a fill: no entry but the one written has its tag.
  logic                  filled_q;
  logic [EntryWidth-1:0] filled_entry_q;
  logic [38:0]           filled_page, follow_page_q;
  logic [16:0]           filled_space, follow_space_q;
  logic                  duplicate, misfiled;

  always_ff @(posedge clk_i or negedge rst_ni) begin : follow_fill
    if (!rst_ni) filled_q <= 1'b0;
    else filled_q <= in_fill;
  end
  always_ff @(posedge clk_i) begin : follow_tag
    filled_entry_q <= entry;
    follow_page_q  <= {size_q, va_page_q};
    follow_space_q <= {global_q, asid_q};
  end

  always_comb begin : find_duplicate
    duplicate = 1'b0;
    misfiled = 1'b0;
    filled_page = page_q[filled_entry_q];
    filled_space = space_q[filled_entry_q];
    if (filled_q) begin
      misfiled = filled_page != follow_page_q || filled_space != follow_space_q ||
                 !valid_q[filled_entry_q];
      for (int unsigned i = 0; i < NumEntries; i++) begin
        if (valid_q[i] && EntryWidth'(i) != filled_entry_q && page_q[i] == filled_page &&
            space_q[i][16] == filled_space[16] &&
            (filled_space[16] || space_q[i][15:0] == filled_space[15:0])) begin
          duplicate = 1'b1;
        end
      end
    end
  end

  TagsUnique_A: assert property (@(posedge clk_i) disable iff (!rst_ni) !duplicate)
      else $error("TagsUnique_A: two entries have the same tag");

  FillIsStored_A: assert property (@(posedge clk_i) disable iff (!rst_ni) !misfiled)
      else $error("FillIsStored_A: the entry written does not hold the tag of the fill");

  //////////////////
  // Invalidation //
  //////////////////

  EpochCountsInvalidations_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      epoch_o == epoch_count_q)
      else $error("EpochCountsInvalidations_A: epoch is not the number of invalidations accepted");

  // In the cycle after an invalidation: no valid entry is covered by it.
  logic        invalidated_q;
  logic [1:0]  inv_scope_q;
  logic [36:0] inv_first_q, inv_last_q;
  logic [15:0] inv_asid_q;
  logic        survivor, overlap, same_asid;

  always_ff @(posedge clk_i or negedge rst_ni) begin : follow_invalidation
    if (!rst_ni) invalidated_q <= 1'b0;
    else invalidated_q <= in_invalidate;
  end
  always_ff @(posedge clk_i) begin : follow_invalidation_operand
    if (in_invalidate) begin
      inv_scope_q <= scope_q;
      inv_first_q <= va_page_q;
      inv_last_q  <= last_page_q;
      inv_asid_q  <= asid_q;
    end
  end

  always_comb begin : find_survivor
    survivor = 1'b0;
    overlap = 1'b0;
    same_asid = 1'b0;
    if (invalidated_q) begin
      for (int unsigned i = 0; i < NumEntries; i++) begin
        overlap = page_q[i][36:0] <= inv_last_q &&
                  (page_q[i][36:0] | ~compared_bits(page_q[i][38:37])) >= inv_first_q;
        same_asid = space_q[i][15:0] == inv_asid_q;
        if (valid_q[i] && (inv_scope_q == 2'd0 ||
                           (inv_scope_q == 2'd1 && same_asid && !space_q[i][16]) ||
                           (inv_scope_q == 2'd2 && overlap && (same_asid || space_q[i][16])) ||
                           (inv_scope_q == 2'd3 && overlap))) begin
          survivor = 1'b1;
        end
      end
    end
  end

  NoSurvivor_A: assert property (@(posedge clk_i) disable iff (!rst_ni) !survivor)
      else $error("NoSurvivor_A: an entry outlived an invalidation that covers it");

  RemovedIsOccupancyLost_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      invalidated_q |-> rsp_removed_o == $past(occupancy_o) - occupancy_o)
      else $error("RemovedIsOccupancyLost_A: entries removed were not counted right");

  // A fill from before an invalidation: the cycle after, everything is as it was.
  logic                  ignored_q, changed;
  logic [NumEntries-1:0] was_valid_q;
  logic [PlruBits-1:0]   was_plru_q;
  logic [38:0]           was_page_q [NumEntries];
  logic [16:0]           was_space_q [NumEntries];
  logic [44:0]           was_store_q [NumEntries];

  always_ff @(posedge clk_i or negedge rst_ni) begin : follow_ignored
    if (!rst_ni) ignored_q <= 1'b0;
    else ignored_q <= in_old_fill;
  end
  always_ff @(posedge clk_i) begin : snapshot
    if (in_old_fill) begin
      was_valid_q <= valid_q;
      was_plru_q  <= plru_q;
      was_page_q  <= page_q;
      was_space_q <= space_q;
      was_store_q <= store_q;
    end
  end

  always_comb begin : find_change
    changed = 1'b0;
    if (ignored_q) begin
      changed = !rsp_dropped_o || was_valid_q != valid_q || was_plru_q != plru_q;
      for (int unsigned i = 0; i < NumEntries; i++) begin
        if (was_page_q[i] != page_q[i] || was_space_q[i] != space_q[i] ||
            was_store_q[i] != store_q[i]) begin
          changed = 1'b1;
        end
      end
    end
  end

  OldFillIgnored_A: assert property (@(posedge clk_i) disable iff (!rst_ni) !changed)
      else $error("OldFillIgnored_A: a fill from before an invalidation had an effect");

  //////////////
  // Coverage //
  //////////////

  HitPage_C:    cover property (@(posedge clk_i) rst_ni && hit && used_page[38:37] == 2'd0);
  HitBlock2M_C: cover property (@(posedge clk_i) rst_ni && hit && used_page[38:37] == 2'd1);
  HitBlock1G_C: cover property (@(posedge clk_i) rst_ni && hit && used_page[38:37] == 2'd2);
  HitGlobalOfOtherAsid_C: cover property (@(posedge clk_i)
      rst_ni && hit && used_space[16] && used_space[15:0] != asid_q);
  HitTwoWays_C: cover property (@(posedge clk_i) rst_ni && hit && !$onehot(match));
  Eviction_C:   cover property (@(posedge clk_i) rst_ni && evict);
  Overwrite_C:  cover property (@(posedge clk_i) rst_ni && fill && match != '0);
  DroppedFill_C: cover property (@(posedge clk_i) rst_ni && in_old_fill);
  FillBehindInvalidation_C: cover property (@(posedge clk_i)
      rst_ni && in_invalidate && req_valid_i && req_op_i == 2'd1);
  RemovedMany_C: cover property (@(posedge clk_i)
      rst_ni && rsp_valid_o && rsp_removed_o > CountWidth'(1));
  HeldRequest_C: cover property (@(posedge clk_i) rst_ni && req_valid_i && !req_ready_o);

endmodule

bind tlb tlb_inner_sva #(
  .NumEntries(NumEntries),
  .NumWays   (NumWays)
) u_inner_sva (
  .valid_q(u_match.valid_q),
  .page_q (u_match.page_q),
  .space_q(u_match.space_q),
  .*
);
