// Set-associative TLB with mixed page sizes, tree-PLRU replacement and range invalidation.
// Its reference is hw/mmu/tlb_array.h: equal operation by operation.
//
// Timing: one operation per cycle, in order. An operation accepted at clock edge T is matched in
// the cycle after it; at edge T+1 it changes the entries and occupancy_o, and its response is on
// rsp_* from then until edge T+2. epoch_o counts invalidations at their acceptance (edge T).
// req_ready_o is low only in reset and until the first clock edge after it.
//
// A fill names the epoch in which its walk began, and is dropped if an invalidation has been
// accepted since. Pages compare as 37-bit numbers, which is the order of canonical addresses. A
// fill names the first page of its size; sizes and operations other than size_e and op_e are not
// supported.
// Not modelled: VMID, contiguous groups, page splinters.
module tlb #(
  parameter  int unsigned NumEntries = 32,  // NumEntries / NumWays is a power of two
  parameter  int unsigned NumWays = 4,      // power of two, 1 to 64
  localparam int unsigned CountWidth = $clog2(NumEntries + 1)
) (
  input  logic clk_i,
  input  logic rst_ni,

  input  logic        req_valid_i,
  output logic        req_ready_o,
  input  logic [1:0]  req_op_i,         // op_e
  input  logic [1:0]  req_scope_i,      // invalidate: scope_e
  input  logic [36:0] req_va_page_i,    // VA[48:12]; invalidate: the first page
  input  logic [36:0] req_last_page_i,  // invalidate: the last page, inclusive
  input  logic [15:0] req_asid_i,
  input  logic        req_global_i,     // fill
  input  logic [1:0]  req_size_i,       // fill: size_e
  input  logic [35:0] req_pa_page_i,    // fill: PA[47:12]
  input  logic [3:0]  req_perm_i,       // fill: {priv_w, priv_r, user_w, user_r}
  input  logic [4:0]  req_attr_i,       // fill: {SH[1:0], AttrIndx[2:0]}
  input  logic [31:0] req_epoch_i,      // fill: epoch_o at the start of the walk

  output logic                  rsp_valid_o,
  output logic [1:0]            rsp_op_o,
  output logic                  rsp_hit_o,      // lookup
  output logic [36:0]           rsp_va_page_o,  // of the entry hit, as are the next five
  output logic [1:0]            rsp_size_o,
  output logic                  rsp_global_o,
  output logic [35:0]           rsp_pa_page_o,
  output logic [3:0]            rsp_perm_o,
  output logic [4:0]            rsp_attr_o,
  output logic                  rsp_dropped_o,  // fill: too old, nothing changed
  output logic                  rsp_evicted_o,  // fill: a valid entry made room
  output logic [36:0]           rsp_evicted_va_page_o,
  output logic [15:0]           rsp_evicted_asid_o,
  output logic [1:0]            rsp_evicted_size_o,
  output logic                  rsp_evicted_global_o,
  output logic [CountWidth-1:0] rsp_removed_o,  // invalidate: entries removed

  output logic [CountWidth-1:0] occupancy_o,
  output logic [31:0]           epoch_o,
  output logic                  busy_o          // an operation or response is in flight
);

  localparam int unsigned NumSets = NumEntries / NumWays;
  localparam int unsigned SetWidth = (NumSets > 1) ? $clog2(NumSets) : 1;
  localparam int unsigned WayWidth = (NumWays > 1) ? $clog2(NumWays) : 1;
  localparam int unsigned EntryWidth = (NumEntries > 1) ? $clog2(NumEntries) : 1;
  localparam int unsigned NumNodes = (NumWays > 1) ? NumWays - 1 : 1;  // PLRU, of one set
  localparam int unsigned PlruBits = NumSets * NumNodes;
  localparam int unsigned PlruWidth = (PlruBits > 1) ? $clog2(PlruBits) : 1;

  if (NumWays == 0 || NumWays > 64 || (NumWays & (NumWays - 1)) != 0) begin : gen_bad_num_ways
    $error("NumWays must be a power of two, at most 64");
  end
  if (NumEntries < NumWays || (NumEntries & (NumEntries - 1)) != 0) begin : gen_bad_num_entries
    $error("NumEntries must be a power of two, at least NumWays");
  end

  ////////////////////
  // Request stage  //
  ////////////////////

  logic                              accept;
  logic                              ready_q, req_valid_q;
  logic [1:0]                        op_q, scope_q;
  tlb_pkg::tag_t                     key_d, key_q;
  logic [tlb_pkg::VA_PAGE_WIDTH-1:0] last_page_q;
  tlb_pkg::data_t                    data_d, data_q;
  logic [tlb_pkg::EPOCH_WIDTH-1:0]   fill_epoch_q;
  logic [tlb_pkg::EPOCH_WIDTH-1:0]   epoch_d, epoch_q;

  assign req_ready_o = ready_q;
  assign accept      = req_valid_i && ready_q;

  assign key_d.space.is_global = req_global_i;
  assign key_d.space.asid      = req_asid_i;
  assign key_d.page.size       = req_size_i;
  assign key_d.page.va_page    = req_va_page_i;
  assign data_d.pa_page        = req_pa_page_i;
  assign data_d.perm           = req_perm_i;
  assign data_d.attr           = req_attr_i;
  assign epoch_d               = epoch_q + 1'b1;
  assign epoch_o               = epoch_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin : request_control
    if (!rst_ni) begin
      ready_q     <= 1'b0;
      req_valid_q <= 1'b0;
      epoch_q     <= '0;
    end else begin
      ready_q     <= 1'b1;
      req_valid_q <= accept;
      if (accept && req_op_i == tlb_pkg::OpInvalidate) epoch_q <= epoch_d;
    end
  end

  always_ff @(posedge clk_i) begin : request
    if (accept) begin
      op_q         <= req_op_i;
      scope_q      <= req_scope_i;
      key_q        <= key_d;
      last_page_q  <= req_last_page_i;
      data_q       <= data_d;
      fill_epoch_q <= req_epoch_i;
    end
  end

  /////////////////
  // Match stage //
  /////////////////

  // While a fill is here, epoch_q counts the invalidations accepted before it.
  logic lookup, fill, dropped, invalidate;
  assign lookup     = req_valid_q && op_q == tlb_pkg::OpLookup;
  assign fill       = req_valid_q && op_q == tlb_pkg::OpFill && fill_epoch_q == epoch_q;
  assign dropped    = req_valid_q && op_q == tlb_pkg::OpFill && fill_epoch_q != epoch_q;
  assign invalidate = req_valid_q && op_q == tlb_pkg::OpInvalidate;

  logic [NumWays-1:0]    match, set_valid;
  logic [SetWidth-1:0]   set;
  logic [EntryWidth-1:0] entry;
  tlb_pkg::tag_t         entry_tag;
  logic [CountWidth-1:0] removed;

  tlb_match #(
    .NumEntries(NumEntries),
    .NumWays   (NumWays)
  ) u_match (
    .clk_i,
    .rst_ni,
    .find_i      (lookup || fill),
    .exact_i     (fill),
    .key_i       (key_q),
    .match_o     (match),
    .set_o       (set),
    .set_valid_o (set_valid),
    .write_i     (fill),
    .entry_i     (entry),
    .tag_o       (entry_tag),
    .invalidate_i(invalidate),
    .scope_i     (scope_q),
    .last_page_i (last_page_q),
    .removed_o   (removed),
    .occupancy_o
  );

  // The entry used: the lowest way that matches, or for a fill, the equal tag, else the lowest free
  // way, else the PLRU victim.
  logic                hit, evict;
  logic [WayWidth-1:0] way, victim;
  logic [NumWays-1:0]  candidates, way_onehot;

  assign hit   = lookup && match != '0;
  assign evict = fill && match == '0 && set_valid == '1;

  always_comb begin : select_way
    candidates = match;
    if (fill && match == '0) candidates = ~set_valid;
    way_onehot = candidates & (~candidates + 1'b1);
    if (evict) way_onehot = NumWays'(1) << victim;
  end

  for (genvar b = 0; b < WayWidth; b++) begin : gen_way
    localparam logic [63:0] PLANE = tlb_pkg::encoder_plane(3'(b));
    assign way[b] = |(way_onehot & PLANE[NumWays-1:0]);
  end

  assign entry = EntryWidth'(32'(set) * NumWays) | EntryWidth'(way);

  // Replacement state of all sets, NumNodes bits each.
  logic [PlruBits-1:0]  plru_q;
  logic [NumNodes-1:0]  set_plru_d, set_plru;
  logic [PlruWidth-1:0] set_plru_bit;
  assign set_plru_bit = PlruWidth'(32'(set) * NumNodes);
  assign set_plru     = plru_q[set_plru_bit +: NumNodes];

  tlb_plru #(
    .NumWays(NumWays)
  ) u_plru (
    .state_i (set_plru),
    .way_i   (way),
    .state_o (set_plru_d),
    .victim_o(victim)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin : replacement
    if (!rst_ni) begin
      plru_q <= '0;
    end else if (hit || fill) begin
      plru_q[set_plru_bit +: NumNodes] <= set_plru_d;
    end
  end

  // data_t of each entry, as a vector: yosys 0.23 misreads an array of structs.
  logic [tlb_pkg::DATA_WIDTH-1:0] store_q [NumEntries];
  tlb_pkg::data_t                    entry_data;
  assign entry_data = store_q[entry];

  always_ff @(posedge clk_i) begin : data_store
    if (fill) store_q[entry] <= data_q;
  end

  ////////////////////
  // Response stage //
  ////////////////////

  logic                  rsp_valid_q, rsp_hit_q, rsp_dropped_q, rsp_evicted_q;
  logic [1:0]            rsp_op_q;
  tlb_pkg::page_tag_t    rsp_page_d, rsp_page_q;
  logic                  rsp_global_d, rsp_global_q;
  tlb_pkg::data_t        rsp_data_d, rsp_data_q;
  tlb_pkg::tag_t         rsp_evicted_tag_d, rsp_evicted_tag_q;
  logic [CountWidth-1:0] rsp_removed_q;

  always_comb begin : response
    rsp_page_d = '0;
    rsp_global_d = 1'b0;
    rsp_data_d = '0;
    rsp_evicted_tag_d = '0;
    if (hit) begin
      rsp_page_d = entry_tag.page;
      rsp_global_d = entry_tag.space.is_global;
      rsp_data_d = entry_data;
    end
    if (evict) rsp_evicted_tag_d = entry_tag;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : response_valid
    if (!rst_ni) begin
      rsp_valid_q <= 1'b0;
    end else begin
      rsp_valid_q <= req_valid_q;
    end
  end

  always_ff @(posedge clk_i) begin : response_payload
    if (req_valid_q) begin
      rsp_op_q          <= op_q;
      rsp_hit_q         <= hit;
      rsp_page_q        <= rsp_page_d;
      rsp_global_q      <= rsp_global_d;
      rsp_data_q        <= rsp_data_d;
      rsp_dropped_q     <= dropped;
      rsp_evicted_q     <= evict;
      rsp_evicted_tag_q <= rsp_evicted_tag_d;
      rsp_removed_q     <= removed;
    end
  end

  assign rsp_valid_o           = rsp_valid_q;
  assign rsp_op_o              = rsp_op_q;
  assign rsp_hit_o             = rsp_hit_q;
  assign rsp_va_page_o         = rsp_page_q.va_page;
  assign rsp_size_o            = rsp_page_q.size;
  assign rsp_global_o          = rsp_global_q;
  assign rsp_pa_page_o         = rsp_data_q.pa_page;
  assign rsp_perm_o            = rsp_data_q.perm;
  assign rsp_attr_o            = rsp_data_q.attr;
  assign rsp_dropped_o         = rsp_dropped_q;
  assign rsp_evicted_o         = rsp_evicted_q;
  assign rsp_evicted_va_page_o = rsp_evicted_tag_q.page.va_page;
  assign rsp_evicted_asid_o    = rsp_evicted_tag_q.space.asid;
  assign rsp_evicted_size_o    = rsp_evicted_tag_q.page.size;
  assign rsp_evicted_global_o  = rsp_evicted_tag_q.space.is_global;
  assign rsp_removed_o         = rsp_removed_q;
  assign busy_o                = req_valid_q || rsp_valid_q;

endmodule
