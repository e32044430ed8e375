// Tag store of the TLB and its two searches: one page among the ways of a set, and every entry that
// an invalidation covers.
//
// A page is sought once per page size, smallest first, in the set that its page number at that size
// selects; a size nothing is held in is skipped. At most one of find_i, invalidate_i.
module tlb_match #(
  parameter  int unsigned NumEntries = 32,
  parameter  int unsigned NumWays = 4,
  localparam int unsigned NumSets = NumEntries / NumWays,
  localparam int unsigned SetWidth = (NumSets > 1) ? $clog2(NumSets) : 1,
  localparam int unsigned EntryWidth = (NumEntries > 1) ? $clog2(NumEntries) : 1,
  localparam int unsigned CountWidth = $clog2(NumEntries + 1)
) (
  input  logic clk_i,
  input  logic rst_ni,

  // Search for one page. Exact: the same size, global bit and, unless global, ASID.
  input  logic                 find_i,
  input  logic                 exact_i,
  input  tlb_pkg::tag_t        key_i,
  output logic [NumWays-1:0]   match_o,      // ways of set_o
  output logic [SetWidth-1:0]  set_o,        // the set of match_o, or the last one searched
  output logic [NumWays-1:0]   set_valid_o,  // ways of set_o that hold an entry

  // One entry: read, and overwritten with key_i at the clock edge.
  input  logic                  write_i,
  input  logic [EntryWidth-1:0] entry_i,
  output tlb_pkg::tag_t         tag_o,

  // Invalidation: key_i holds the first page and the ASID.
  input  logic                              invalidate_i,
  input  logic [1:0]                        scope_i,
  input  logic [tlb_pkg::VA_PAGE_WIDTH-1:0] last_page_i,  // inclusive
  output logic [CountWidth-1:0]             removed_o,

  output logic [CountWidth-1:0] occupancy_o
);

  // page_tag_t and space_tag_t of each entry, as vectors: yosys 0.23 misreads an array of structs.
  logic [tlb_pkg::PAGE_TAG_WIDTH-1:0]  page_q [NumEntries];
  logic [tlb_pkg::SPACE_TAG_WIDTH-1:0] space_q [NumEntries];
  logic [NumEntries-1:0]               valid_d, valid_q;

  // Entries held per page size.
  logic [CountWidth-1:0] live_4k_d, live_4k_q, live_2m_d, live_2m_q, live_1g_d, live_1g_q;
  logic [2:0]            size_live;
  assign size_live   = {live_1g_q != '0, live_2m_q != '0, live_4k_q != '0};
  assign occupancy_o = live_4k_q + live_2m_q + live_1g_q;

  //////////////////////////////
  // Search of one page's set //
  //////////////////////////////

  logic [EntryWidth-1:0] first_entry;
  logic [NumWays-1:0]    same_page;
  tlb_pkg::page_tag_t    probe;
  tlb_pkg::space_tag_t   space;

  always_comb begin : find
    match_o = '0;
    set_o = '0;
    set_valid_o = '0;
    first_entry = '0;
    same_page = '0;
    probe = '0;
    space = '0;
    if (find_i) begin
      for (int unsigned size = 0; size < tlb_pkg::NUM_SIZES; size++) begin
        if (match_o == '0 && (exact_i ? key_i.page.size == 2'(size) : size_live[size])) begin
          set_o = SetWidth'(key_i.page.va_page >> (tlb_pkg::LEVEL_BITS * size)) &
                  SetWidth'(NumSets - 1);
          first_entry = EntryWidth'(32'(set_o) * NumWays);
          set_valid_o = valid_q[first_entry +: NumWays];
          probe.size = 2'(size);
          probe.va_page = key_i.page.va_page & ~tlb_pkg::offset_mask(2'(size));
          same_page = '0;
          for (int unsigned way = 0; way < NumWays; way++) begin
            if (page_q[first_entry | EntryWidth'(way)] == probe) same_page[way] = 1'b1;
          end
          same_page &= set_valid_o;
          if (same_page != '0) begin
            for (int unsigned way = 0; way < NumWays; way++) begin
              space = space_q[first_entry | EntryWidth'(way)];
              if (same_page[way] && (space.is_global || space.asid == key_i.space.asid) &&
                  (!exact_i || space.is_global == key_i.space.is_global)) begin
                match_o[way] = 1'b1;
              end
            end
          end
        end
      end
    end
  end

  ///////////////////////////
  // Search of all entries //
  ///////////////////////////

  logic [NumEntries-1:0]             remove;
  tlb_pkg::page_tag_t                entry_page;
  tlb_pkg::space_tag_t               entry_space;
  logic [tlb_pkg::VA_PAGE_WIDTH-1:0] entry_last;
  logic                              overlap, same_asid, covered;
  logic [CountWidth-1:0]             removed_4k, removed_2m, removed_1g;

  // An entry is covered if its page overlaps the range: any address of a block removes the block.
  always_comb begin : cover_entries
    remove = '0;
    entry_page = '0;
    entry_space = '0;
    entry_last = '0;
    overlap = 1'b0;
    same_asid = 1'b0;
    covered = 1'b0;
    removed_4k = '0;
    removed_2m = '0;
    removed_1g = '0;
    if (invalidate_i) begin
      for (int unsigned entry = 0; entry < NumEntries; entry++) begin
        entry_page = page_q[entry];
        entry_space = space_q[entry];
        entry_last = entry_page.va_page | tlb_pkg::offset_mask(entry_page.size);
        overlap = entry_page.va_page <= last_page_i && key_i.page.va_page <= entry_last;
        same_asid = entry_space.asid == key_i.space.asid;
        unique case (scope_i)
          tlb_pkg::ScopeAll:  covered = 1'b1;
          tlb_pkg::ScopeAsid: covered = !entry_space.is_global && same_asid;
          tlb_pkg::ScopeVa:   covered = overlap && (entry_space.is_global || same_asid);
          default:            covered = overlap;
        endcase
        if (valid_q[entry] && covered) begin
          remove[entry] = 1'b1;
          if (entry_page.size == tlb_pkg::Size4K) removed_4k += 1'b1;
          else if (entry_page.size == tlb_pkg::Size2M) removed_2m += 1'b1;
          else removed_1g += 1'b1;
        end
      end
    end
  end

  assign removed_o = removed_4k + removed_2m + removed_1g;

  ///////////
  // State //
  ///////////

  assign tag_o.page  = page_q[entry_i];
  assign tag_o.space = space_q[entry_i];

  // Entries of one size: one more if written, one less if written over.
  logic [tlb_pkg::NUM_SIZES-1:0] gain, loss;

  always_comb begin : next_state
    valid_d = valid_q & ~remove;
    gain = '0;
    loss = '0;
    if (write_i) begin
      valid_d[entry_i] = 1'b1;
      gain = 3'b001 << key_i.page.size;
      if (valid_q[entry_i]) loss = 3'b001 << tag_o.page.size;
    end
    live_4k_d = live_4k_q + CountWidth'(gain[0]) - CountWidth'(loss[0]) - removed_4k;
    live_2m_d = live_2m_q + CountWidth'(gain[1]) - CountWidth'(loss[1]) - removed_2m;
    live_1g_d = live_1g_q + CountWidth'(gain[2]) - CountWidth'(loss[2]) - removed_1g;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin : valid_state
    if (!rst_ni) begin
      valid_q   <= '0;
      live_4k_q <= '0;
      live_2m_q <= '0;
      live_1g_q <= '0;
    end else if (write_i || invalidate_i) begin
      valid_q   <= valid_d;
      live_4k_q <= live_4k_d;
      live_2m_q <= live_2m_d;
      live_1g_q <= live_1g_d;
    end
  end

  // Page number bits below the size are stored as zero, so that an exact page match is equality.
  tlb_pkg::page_tag_t write_page;
  assign write_page.size    = key_i.page.size;
  assign write_page.va_page = key_i.page.va_page & ~tlb_pkg::offset_mask(key_i.page.size);

  always_ff @(posedge clk_i) begin : tag_store
    if (write_i) begin
      page_q[entry_i]  <= write_page;
      space_q[entry_i] <= key_i.space;
    end
  end

endmodule
