// What of a log is written, on logs written by hand.
#include "cosim/observe/event_writer.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "support/hand_log.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x5000;
constexpr std::uint64_t kPa = 0x80'0000;

/// A log whose events are written to a text as they happen.
class Written : public HandLog {
 public:
  explicit Written(cosim::EventFilter filter = {}) : writer(log, out_, std::move(filter)) {
    log.subscribe(writer);
  }
  ~Written() override { log.unsubscribe(writer); }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;
  std::vector<std::string> lines() const {
    std::vector<std::string> result;
    std::istringstream text(out_.str());
    for (std::string line; std::getline(text, line);) result.push_back(line);
    return result;
  }

 private:
  std::ostringstream out_;

 public:
  cosim::EventWriter writer;
};

cosim::EventFilter around(std::uint64_t first, std::uint64_t last) {
  cosim::EventFilter filter;
  filter.addresses = {first, last};
  return filter;
}

TEST(EventWriterTest, ACommandThatNamesNoTranslationsSaysNothingOfAny) {
  Written log;
  log.send(HandLog::sync_command());
  log.send(HandLog::tlbi_command(HandLog::by_address(kVa)));
  const auto lines = log.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].find("scope"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find("\"scope\":\"va\",\"asid\":3,\"start\":\"0x5000\""), std::string::npos)
      << lines[1];
}

TEST(EventWriterTest, AddressesKeepWhatTouchesThem) {
  Written log(around(kVa, kVa + 0xfff));
  log.send(HandLog::sync_command());                                   // names no address
  log.send(HandLog::tlbi_command(HandLog::by_address(kVa + 0x1000)));  // the next page
  log.flush_begin(0, kVa);                                             // its end is exclusive
  log.fill(log.cpu, 0, kPa, true, arch::kPageShift);                   // another page
  log.say(sw::PageFreed{.page = {0x10'0000}, .order = 0, .use = {}});  // another frame
  EXPECT_TRUE(log.lines().empty()) << log.lines().front();
  log.send(HandLog::tlbi_command(HandLog::by_address(kVa)));
  log.flush_begin(0, kVa + 1);
  log.flush_begin(0, ~std::uint64_t{0});
  log.fill(log.cpu, 0, kPa, true, 21);  // a block around it
  log.fill(log.cpu, kPa, 0, true, 21);  // a block whose frames are around it
  log.say(sw::PageFreed{.page = {0}, .order = 9, .use = {}});
  log.store(0, 2, 0, 0x401 | HandLog::kLeaf);  // a block entry
  EXPECT_EQ(log.lines().size(), 7U);
}

TEST(EventWriterTest, KindsAndActorsAreChosen) {
  cosim::EventFilter kinds;
  kinds.kinds = cosim::kinds_of<hw::TlbFill>();
  Written fills(kinds);
  fills.fill(fills.cpu, kVa, kPa);
  fills.flush_begin(0, kVa);
  EXPECT_EQ(fills.lines().size(), 1U);

  Written names;
  cosim::EventFilter actors;
  actors.actors = {names.smmu, names.other};
  Written chosen(actors);
  chosen.fill(chosen.cpu, kVa, kPa);
  chosen.fill(chosen.smmu, kVa, kPa);
  chosen.flush_begin(0, kVa);
  chosen.other_says(sw::FunctionEnter{.function = "do_mmap"});
  EXPECT_EQ(chosen.lines().size(), 2U);
}

TEST(EventWriterTest, AWindowIsAroundTheFirstViolation) {
  cosim::EventFilter filter;
  filter.around_violation = 2;
  Written log(filter);
  for (int i = 0; i < 5; ++i) log.notify(0, 0x1000 * static_cast<std::uint64_t>(i + 1));
  EXPECT_TRUE(log.lines().empty());
  log.writer.violation_found();
  for (int i = 0; i < 5; ++i) log.notify(0, 0x10000 * static_cast<std::uint64_t>(i + 1));
  log.writer.violation_found();  // a second one moves nothing
  const auto lines = log.lines();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_NE(lines[1].find("0x5000"), std::string::npos);
  EXPECT_NE(lines[2].find("0x10000"), std::string::npos);
}

}  // namespace
}  // namespace shootdown::tests
