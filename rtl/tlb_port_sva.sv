// Black-box checker of a TLB behind these ports, for Verilator: it sees nothing but the ports, and
// knows neither how long an operation takes nor how entries are kept. Bind it to another TLB whose
// adapter has the same ports; the module to bind to is named at the end.
module tlb_port_sva #(
  parameter  int unsigned NumEntries = 32,
  parameter  int unsigned MaxInFlight = 4,   // operations accepted and not answered; a power of two
  localparam int unsigned CountWidth = $clog2(NumEntries + 1),
  localparam int unsigned SlotWidth = $clog2(MaxInFlight)
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
  input logic [35:0] req_pa_page_i,
  input logic [3:0]  req_perm_i,
  input logic [4:0]  req_attr_i,
  input logic [31:0] req_epoch_i,

  input logic                  rsp_valid_o,
  input logic [1:0]            rsp_op_o,
  input logic                  rsp_hit_o,
  input logic [36:0]           rsp_va_page_o,
  input logic [1:0]            rsp_size_o,
  input logic                  rsp_global_o,
  input logic [35:0]           rsp_pa_page_o,
  input logic [3:0]            rsp_perm_o,
  input logic [4:0]            rsp_attr_o,
  input logic                  rsp_dropped_o,
  input logic                  rsp_evicted_o,
  input logic [CountWidth-1:0] rsp_removed_o,
  input logic [CountWidth-1:0] occupancy_o,
  input logic                  busy_o
);

  /////////////
  // Request //
  /////////////

  ReqStable_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      req_valid_i && !req_ready_o |=> req_valid_i && $stable(req_op_i) && $stable(req_scope_i) &&
          $stable(req_va_page_i) && $stable(req_last_page_i) && $stable(req_asid_i) &&
          $stable(req_global_i) && $stable(req_size_i) && $stable(req_pa_page_i) &&
          $stable(req_perm_i) && $stable(req_attr_i) && $stable(req_epoch_i))
      else $error("ReqStable_A: request changed before it was accepted");

  ReqOpLegal_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      req_valid_i |-> req_op_i != 2'd3 && !(req_op_i == 2'd1 && req_size_i == 2'd3))
      else $error("ReqOpLegal_A: unknown operation or page size");

  ReqFillAligned_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      req_valid_i && req_op_i == 2'd1 |->
          (req_size_i == 2'd0 || req_va_page_i[8:0] == '0) &&
          (req_size_i != 2'd2 || req_va_page_i[17:0] == '0))
      else $error("ReqFillAligned_A: fill of a page that is not the first of its size");

  //////////////
  // Response //
  //////////////

  // Operations that have been accepted and not answered, oldest at head_q.
  logic [1:0]           op_q [MaxInFlight];
  logic [36:0]          va_page_q [MaxInFlight];
  logic [SlotWidth-1:0] head_q, tail_q;
  logic [SlotWidth:0]   in_flight_q;
  logic                 accept;
  logic [1:0]           op;
  logic [36:0]          va_page;
  assign accept  = req_valid_i && req_ready_o;
  assign op      = op_q[head_q];
  assign va_page = va_page_q[head_q];

  always_ff @(posedge clk_i or negedge rst_ni) begin : follow_order
    if (!rst_ni) begin
      head_q      <= '0;
      tail_q      <= '0;
      in_flight_q <= '0;
    end else begin
      if (rsp_valid_o) head_q <= head_q + SlotWidth'(1);
      if (accept) tail_q <= tail_q + SlotWidth'(1);
      in_flight_q <= in_flight_q + (SlotWidth + 1)'(accept) - (SlotWidth + 1)'(rsp_valid_o);
    end
  end
  always_ff @(posedge clk_i) begin : follow_request
    if (accept) begin
      op_q[tail_q]      <= req_op_i;
      va_page_q[tail_q] <= req_va_page_i;
    end
  end

  RspAnswersOldestReq_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      rsp_valid_o |-> in_flight_q != '0 && rsp_op_o == op)
      else $error("RspAnswersOldestReq_A: response that is not to the oldest request");

  InFlightBounded_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      32'(in_flight_q) <= MaxInFlight)
      else $error("InFlightBounded_A: more requests accepted than can be followed");

  RspMissIsZero_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      rsp_valid_o && !rsp_hit_o |-> rsp_va_page_o == '0 && rsp_size_o == '0 && !rsp_global_o &&
          rsp_pa_page_o == '0 && rsp_perm_o == '0 && rsp_attr_o == '0)
      else $error("RspMissIsZero_A: output without a hit");

  RspFitsOp_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      rsp_valid_o |-> !(rsp_hit_o && op != 2'd0) && !(rsp_dropped_o && op != 2'd1) &&
          !(rsp_evicted_o && (op != 2'd1 || rsp_dropped_o)) &&
          !(rsp_removed_o != '0 && op != 2'd2))
      else $error("RspFitsOp_A: result of another operation");

  // Page number bits that a size compares.
  function automatic logic [36:0] compared_bits(input logic [1:0] size);
    compared_bits = size == 2'd0 ? 37'h1f_ffff_ffff :
                    size == 2'd1 ? 37'h1f_ffff_fe00 : 37'h1f_fffc_0000;
  endfunction

  RspHitMatchesRequest_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      rsp_valid_o && rsp_hit_o |->
          ((rsp_va_page_o ^ va_page) & compared_bits(rsp_size_o)) == '0)
      else $error("RspHitMatchesRequest_A: response for another page");

  BusyWhileInFlight_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      in_flight_q != '0 |-> busy_o)
      else $error("BusyWhileInFlight_A: not busy with a request that has no response yet");

  OccupancyFits_A: assert property (@(posedge clk_i) disable iff (!rst_ni)
      32'(occupancy_o) <= NumEntries)
      else $error("OccupancyFits_A: more valid entries than there are");

  //////////////
  // Coverage //
  //////////////

  PortHit_C:     cover property (@(posedge clk_i) rst_ni && rsp_valid_o && rsp_hit_o);
  PortEvicted_C: cover property (@(posedge clk_i) rst_ni && rsp_valid_o && rsp_evicted_o);
  PortTwoInFlight_C: cover property (@(posedge clk_i) rst_ni && 32'(in_flight_q) > 1);

endmodule

bind tlb tlb_port_sva #(
  .NumEntries(NumEntries)
) u_port_sva (.*);
