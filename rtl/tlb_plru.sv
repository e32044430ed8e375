// Tree pseudo-LRU of one set. Combinational.
//
// Node n has children 2n and 2n + 1 and is state bit n - 1; its bit points to the half to replace
// next (1: the upper ways). A use of a way makes every node on its path point away from it.
module tlb_plru #(
  parameter  int unsigned NumWays = 4,  // power of two, 1 to 64
  localparam int unsigned NumNodes = (NumWays > 1) ? NumWays - 1 : 1,
  localparam int unsigned WayWidth = (NumWays > 1) ? $clog2(NumWays) : 1
) (
  input  logic [NumNodes-1:0] state_i,
  input  logic [WayWidth-1:0] way_i,     // the way used
  output logic [NumNodes-1:0] state_o,   // after the use
  output logic [WayWidth-1:0] victim_o   // before the use
);

  if (NumWays == 0 || NumWays > 64 || (NumWays & (NumWays - 1)) != 0) begin : gen_bad_num_ways
    $error("NumWays must be a power of two, at most 64");
  end

  if (NumWays == 1) begin : gen_direct
    logic unused_way;
    assign unused_way = ^way_i;
    assign state_o    = state_i;
    assign victim_o   = '0;
  end else begin : gen_tree
    // The path from the root reads a way number from its top bit down: after `level` steps the
    // node number is 1 followed by the bits taken.
    logic [WayWidth:0] used_node;
    logic [WayWidth:0] victim_node;

    always_comb begin : use_way
      state_o = state_i;
      used_node = (WayWidth + 1)'(1);
      for (int unsigned level = 0; level < WayWidth; level++) begin
        state_o[WayWidth'(used_node - 1'b1)] = ~way_i[WayWidth - 1 - level];
        used_node = {used_node[WayWidth-1:0], way_i[WayWidth - 1 - level]};
      end
    end

    always_comb begin : find_victim
      victim_node = (WayWidth + 1)'(1);
      for (int unsigned level = 0; level < WayWidth; level++) begin
        victim_node = {victim_node[WayWidth-1:0], state_i[WayWidth'(victim_node - 1'b1)]};
      end
      victim_o = victim_node[WayWidth-1:0];
    end
  end

endmodule
