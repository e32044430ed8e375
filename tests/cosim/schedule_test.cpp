// Written schedules: who is held, until when, and what is said of an order that cannot be.
#include <gtest/gtest.h>

#include <string>

#include "cosim/config/strict_yaml.h"
#include "support/scenario.h"

namespace shootdown::tests {
namespace {

const char* const kTwoThreads = R"(
hardware: {cpus: 2}
threads:
  first:
    on: cpu0
    process: app
    steps:
      - write: {at: heap, value: 1}
      - signal: done
  second:
    on: cpu1
    process: app
    steps:
      - write: {at: heap + 0x1000, value: 2}
)";

/// Position of the first event that has both texts.
std::size_t position(const std::string& log, const std::string& a, const std::string& b) {
  std::size_t line = 0;
  for (std::size_t at = 0; at < log.size(); ++line) {
    const std::size_t end = log.find('\n', at);
    const std::string text = log.substr(at, end - at);
    if (text.find(a) != std::string::npos && text.find(b) != std::string::npos) return line;
    at = end + 1;
  }
  return std::string::npos;
}

std::string log_of(const std::string& schedule) {
  const auto config = load_text(small_machine(kTwoThreads + schedule));
  cosim::Experiment experiment(config);
  return event_log_of(experiment);
}

bool first_is_first(const std::string& log) {
  return position(log, "\"thread\":\"first\"", "handle_mm_fault") <
         position(log, "\"thread\":\"second\"", "handle_mm_fault");
}

TEST(ScheduleTest, EitherOrderCanBeHadOfFunctions) {
  EXPECT_FALSE(
      first_is_first(log_of("schedule:\n  - {hold: first, at: enter do_page_fault, until: {second: "
                            "exit do_page_fault}}\n")));
  EXPECT_TRUE(
      first_is_first(log_of("schedule:\n  - {hold: second, at: enter do_page_fault, until: {first: "
                            "exit do_page_fault}}\n")));
}

TEST(ScheduleTest, HardwareIsHeldAtItsEvents) {
  const std::string log =
      log_of("schedule:\n  - {hold: cpu0, at: tlb_fill, until: {cpu1: access_done}}\n");
  EXPECT_LT(position(log, "\"actor\":\"cpu1\"", "access_done"),
            position(log, "\"actor\":\"cpu0\"", "access_done"));
  const std::string signalled =
      log_of("schedule:\n  - {hold: cpu1, at: tlb_fill, until: {signal: done}}\n");
  EXPECT_LT(position(signalled, "\"actor\":\"cpu0\"", "access_done"),
            position(signalled, "\"actor\":\"cpu1\"", "access_done"));
}

TEST(ScheduleTest, WhatHasPassedAlreadyHoldsNobody) {
  // The second page fault of `first` never comes; the point of `second` has passed by its first.
  const auto result = run(load_text(
      small_machine(std::string(kTwoThreads) +
                    "schedule:\n  - {hold: first, at: exit do_page_fault, until: {second: enter "
                    "do_page_fault}}\n")));
  EXPECT_TRUE(result.remarks.empty()) << testing::PrintToString(result.remarks);
}

TEST(ScheduleTest, AnOrderThatCannotBeIsGivenUpAndSaid) {
  const auto result = run(load_text(small_machine(
      std::string(kTwoThreads) +
      "schedule:\n  - {hold: first, at: enter do_page_fault, until: {second: exit do_munmap}, "
      "at_most_cycles: 500}\n  - {hold: second, at: exit do_munmap, until: {signal: done}}\n")));
  ASSERT_EQ(result.remarks.size(), 2U) << testing::PrintToString(result.remarks);
  EXPECT_NE(result.remarks[0].find("waited 500 cycles"), std::string::npos);
  EXPECT_NE(result.remarks[0].find("never happened in this run"), std::string::npos);
  EXPECT_NE(result.remarks[1].find("this order was not tried"), std::string::npos);
}

TEST(ScheduleTest, AWaitThatWasTooShortIsToldFromOneInVain) {
  const auto result = run(load_text(small_machine(
      std::string(kTwoThreads) +
      "schedule:\n  - {hold: first, at: enter do_page_fault, until: {second: exit do_page_fault}, "
      "at_most_cycles: 3}\n")));
  ASSERT_EQ(result.remarks.size(), 1U) << testing::PrintToString(result.remarks);
  EXPECT_NE(result.remarks[0].find("which came later"), std::string::npos) << result.remarks[0];
}

TEST(ScheduleTest, AHeldRunEndsAtItsLimitAndCanBeRepeated) {
  const auto config = load_text(small_machine(
      std::string(kTwoThreads) +
      "schedule:\n  - {hold: first, at: exit do_page_fault, until: {second: exit do_munmap}, "
      "at_most_cycles: 100000000}\nlimits: {simulated_us: 50}\n"));
  cosim::Experiment experiment(config);
  const std::string once = event_log_of(experiment);
  EXPECT_EQ(experiment.run().verdict, cosim::Verdict::kLimit);
  EXPECT_EQ(event_log_of(experiment), once);
}

TEST(ScheduleTest, BadPointsAreRefused) {
  const auto refused = [](const std::string& schedule) {
    try {
      load_text(small_machine(std::string(kTwoThreads) + "schedule:\n  - " + schedule + "\n"));
    } catch (const cosim::ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(
      refused("{hold: nobody, at: enter do_mmap, until: {second: enter do_mmap}}").find("nobody"),
      std::string::npos);
  EXPECT_NE(
      refused("{hold: first, at: no_such_event, until: {second: enter do_mmap}}").find("tlb_fill"),
      std::string::npos);
  EXPECT_NE(
      refused("{hold: first, at: enter, until: {second: enter do_mmap}}").find("enter FUNCTION"),
      std::string::npos);
  EXPECT_NE(refused("{hold: first, at: enter do_mmap, until: {signal: nothing}}").find("done"),
            std::string::npos);
  EXPECT_NE(
      refused("{hold: first, at: enter do_mmap, until: {first: exit do_mmap}}").find("another one"),
      std::string::npos);
  EXPECT_NE(refused("{hold: first, at: enter do_mmap, until: {}}").find("names no point"),
            std::string::npos);
  EXPECT_NE(refused("{hold: first, at: enter do_mmap, until: {second: enter do_mmap, first: enter "
                    "do_munmap}}")
                .find("a second point"),
            std::string::npos);
  EXPECT_NE(refused("{hold: first, at: enter do_mmap, until: {second: exit do_munmpa}}")
                .find("unknown function 'do_munmpa' (nearest: do_munmap, "),
            std::string::npos);
}

}  // namespace
}  // namespace shootdown::tests
