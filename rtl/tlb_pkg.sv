// Types and constants of the TLB. 4 KiB granule: 4 KiB pages, 2 MiB and 1 GiB blocks.
package tlb_pkg;

  localparam int unsigned VA_PAGE_WIDTH = 37;    // VA[48:12]
  localparam int unsigned PA_PAGE_WIDTH = 36;    // PA[47:12]
  localparam int unsigned ASID_WIDTH = 16;
  localparam int unsigned PERM_WIDTH = 4;        // {priv_w, priv_r, user_w, user_r}
  localparam int unsigned ATTR_WIDTH = 5;        // {SH[1:0], AttrIndx[2:0]}
  localparam int unsigned EPOCH_WIDTH = 32;
  localparam int unsigned NUM_SIZES = 3;
  localparam int unsigned LEVEL_BITS = 9;        // page number bits between one size and the next

  // Bits of page_tag_t, space_tag_t and data_t.
  localparam int unsigned PAGE_TAG_WIDTH = 2 + VA_PAGE_WIDTH;
  localparam int unsigned SPACE_TAG_WIDTH = 1 + ASID_WIDTH;
  localparam int unsigned DATA_WIDTH = PA_PAGE_WIDTH + PERM_WIDTH + ATTR_WIDTH;

  typedef enum logic [1:0] {
    OpLookup     = 2'd0,
    OpFill       = 2'd1,
    OpInvalidate = 2'd2
  } op_e;

  // What an invalidation removes.
  typedef enum logic [1:0] {
    ScopeAll       = 2'd0,  // every entry
    ScopeAsid      = 2'd1,  // the non-global entries of the ASID
    ScopeVa        = 2'd2,  // the page range: entries of the ASID, and global ones
    ScopeVaAnyAsid = 2'd3   // the page range, whatever the ASID
  } scope_e;

  typedef enum logic [1:0] {
    Size4K = 2'd0,
    Size2M = 2'd1,
    Size1G = 2'd2
  } size_e;

  // Which page an entry is for. Page number bits below the size are zero.
  typedef struct packed {
    logic [1:0]               size;
    logic [VA_PAGE_WIDTH-1:0] va_page;
  } page_tag_t;

  // Whose page it is. The ASID of a global entry matches nothing; it is kept as filled.
  typedef struct packed {
    logic                  is_global;
    logic [ASID_WIDTH-1:0] asid;
  } space_tag_t;

  typedef struct packed {
    space_tag_t space;
    page_tag_t  page;
  } tag_t;

  // What a hit delivers.
  typedef struct packed {
    logic [PA_PAGE_WIDTH-1:0] pa_page;
    logic [PERM_WIDTH-1:0]    perm;
    logic [ATTR_WIDTH-1:0]    attr;
  } data_t;

  // Page number bits that are offset within a page of this size.
  function automatic logic [VA_PAGE_WIDTH-1:0] offset_mask(input logic [1:0] size);
    offset_mask = {{(VA_PAGE_WIDTH - 2 * LEVEL_BITS){1'b0}},
                   {LEVEL_BITS{size == tlb_pkg::Size1G}}, {LEVEL_BITS{size != tlb_pkg::Size4K}}};
  endfunction

  // Ways whose number has bit `index` set: the OR plane of a one-hot to binary encoder.
  function automatic logic [63:0] encoder_plane(input logic [2:0] index);
    encoder_plane = 64'hffff_ffff_0000_0000;
    case (index)
      3'd0: encoder_plane = 64'haaaa_aaaa_aaaa_aaaa;
      3'd1: encoder_plane = 64'hcccc_cccc_cccc_cccc;
      3'd2: encoder_plane = 64'hf0f0_f0f0_f0f0_f0f0;
      3'd3: encoder_plane = 64'hff00_ff00_ff00_ff00;
      3'd4: encoder_plane = 64'hffff_0000_ffff_0000;
      default: encoder_plane = 64'hffff_ffff_0000_0000;
    endcase
  endfunction

endpackage
