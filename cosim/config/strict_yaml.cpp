#include "cosim/config/strict_yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cosim/config/spelling.h"

namespace shootdown::cosim {

namespace {

constexpr std::uintmax_t kMaxFileBytes = 1 << 20;
const std::string kSet = "--set";

std::string place(const std::string& file, const YAML::Mark& mark) {
  // A node that --set made has no place in the file.
  if (mark.is_null()) return fmt::format("{}:1:1", file);
  return fmt::format("{}:{}:{}", file, mark.line + 1, mark.column + 1);
}

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !letter(text[0])) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

/// Whether one could be a slip of the other: the letters are the same but for one or two.
bool alike(std::string_view a, std::string_view b) { return edit_distance(a, b) <= 2; }

/// What a node is, for messages.
std::string describe(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  if (node.IsNull()) return "nothing";
  return "'" + node.Scalar() + "'";
}

}  // namespace

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

void YamlValue::fail(const std::string& problem, const std::string& allowed) const {
  // What has no place in the file is a map that --set made on its way to a key.
  const bool made_by_set = !source_->assigned.empty() && node_.Mark().is_null();
  const std::string& source = assigned() || made_by_set ? kSet : source_->file;
  throw ConfigError(
      fmt::format("{}: {}: {} ({})", place(source, node_.Mark()), key_, problem, allowed));
}

bool YamlValue::assigned() const {
  return std::any_of(
      source_->assigned.begin(), source_->assigned.end(), [&](const std::string& key) {
        return key_.starts_with(key) &&
               (key_.size() == key.size() || key_[key.size()] == '.' || key_[key.size()] == '[');
      });
}

std::string YamlValue::origin() const {
  return assigned() ? kSet : fmt::format("{}:{}", source_->file, node_.Mark().line + 1);
}

std::string YamlValue::text() const {
  if (!node_.IsScalar()) fail("is " + describe(node_), "a text is allowed");
  return node_.Scalar();
}

std::uint64_t YamlValue::integer(std::uint64_t min, std::uint64_t max) const {
  const std::string allowed = max == ~std::uint64_t{0}
                                  ? fmt::format("an integer from {} on, decimal or 0x", min)
                              : min == max ? fmt::format("{}", min)
                                           : fmt::format("an integer from {} to {}", min, max);
  if (!node_.IsScalar()) fail("is " + describe(node_), allowed);
  const std::string& original = node_.Scalar();
  std::string digits = original;
  std::erase(digits, '_');
  const bool hex = digits.starts_with("0x") || digits.starts_with("0X");
  const std::string_view number = std::string_view(digits).substr(hex ? 2 : 0);
  if (!hex && number.size() > 1 && number[0] == '0') {
    fail("leading zero in '" + original + "'", allowed);
  }
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), value, hex ? 16 : 10);
  if (number.empty() || error != std::errc{} || end != number.data() + number.size()) {
    fail("is '" + original + "'", allowed);
  }
  if (value < min || value > max) fail("is " + original, allowed);
  return value;
}

bool YamlValue::boolean() const {
  if (node_.IsScalar() && node_.Scalar() == "true") return true;
  if (node_.IsScalar() && node_.Scalar() == "false") return false;
  fail("is " + describe(node_), "true or false");
}

std::string YamlValue::identifier() const {
  if (!node_.IsScalar() || !is_identifier(node_.Scalar())) {
    fail("is " + describe(node_), "a name of letters, digits and underscores");
  }
  return node_.Scalar();
}

std::size_t YamlValue::word(const std::vector<std::string>& words) const {
  if (node_.IsScalar()) {
    const auto found = std::find(words.begin(), words.end(), node_.Scalar());
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  }
  fail("is " + describe(node_), "one of " + join(words, ", "));
}

std::vector<YamlValue> YamlValue::elements() const {
  if (!node_.IsSequence()) fail("is " + describe(node_), "a list");
  std::vector<YamlValue> result;
  for (std::size_t i = 0; i < node_.size(); ++i) {
    result.push_back(child(fmt::format("{}[{}]", key_, i), node_[i]));
  }
  return result;
}

YamlMap::YamlMap(const YamlValue& value) : value_(value) {
  if (!value.is_map()) value.fail("is " + describe(value.node()), "a map of keys");
  std::set<std::string> seen;
  for (const auto& entry : value.node()) {
    if (!entry.first.IsScalar()) {
      value.child(value.key(), entry.first)
          .fail("a key is " + describe(entry.first), "a plain word");
    }
    const std::string& name = entry.first.Scalar();
    if (!seen.insert(name).second) {
      value.child(child_key(name), entry.first).fail("key given twice", "each key once");
    }
  }
}

std::string YamlMap::child_key(const std::string& key) const {
  return value_.key().empty() ? key : value_.key() + "." + key;
}

std::optional<YamlValue> YamlMap::find(const std::string& key) {
  known_.insert(key);
  for (const auto& entry : value_.node()) {
    if (entry.first.Scalar() == key) return value_.child(child_key(key), entry.second);
  }
  return std::nullopt;
}

YamlValue YamlMap::require(const std::string& key) {
  auto value = find(key);
  if (!value) {
    for (const auto& entry : value_.node()) {
      const std::string& given = entry.first.Scalar();
      if (known_.contains(given) || !alike(given, key)) continue;
      value_.child(child_key(key), entry.first)
          .fail("is missing, '" + given + "' is given", "it has to be given");
    }
    value_.child(child_key(key), value_.node()).fail("is missing", "it has to be given");
  }
  return *value;
}

std::vector<std::pair<YamlValue, YamlValue>> YamlMap::entries() {
  std::vector<std::pair<YamlValue, YamlValue>> result;
  for (const auto& entry : value_.node()) {
    const std::string& name = entry.first.Scalar();
    known_.insert(name);
    result.emplace_back(value_.child(child_key(name), entry.first),
                        value_.child(child_key(name), entry.second));
  }
  return result;
}

void YamlMap::finish() const {
  for (const auto& entry : value_.node()) {
    const std::string& key = entry.first.Scalar();
    if (known_.count(key) != 0) continue;
    value_.child(child_key(key), entry.first)
        .fail("unknown key", "known here: " + join({known_.begin(), known_.end()}, ", "));
  }
}

void YamlMap::read(const std::string& key, unsigned& target, std::uint64_t min, std::uint64_t max) {
  if (const auto value = find(key)) target = static_cast<unsigned>(value->integer(min, max));
}
void YamlMap::read(const std::string& key, std::uint64_t& target, std::uint64_t min,
                   std::uint64_t max) {
  if (const auto value = find(key)) target = value->integer(min, max);
}
void YamlMap::read(const std::string& key, bool& target) {
  if (const auto value = find(key)) target = value->boolean();
}

namespace {

[[noreturn]] void fail_file(const std::string& name, const std::string& problem,
                            const std::string& allowed) {
  throw ConfigError(fmt::format("{}:1:1: file: {} ({})", name, problem, allowed));
}

}  // namespace

YAML::Node parse_yaml(const std::string& text, const std::string& name) {
  const auto binary = std::find_if(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  });
  if (binary != text.end()) {
    const auto line = std::count(text.begin(), binary, '\n') + 1;
    const auto start = text.rfind('\n', static_cast<std::size_t>(binary - text.begin()));
    const auto column = (binary - text.begin()) -
                        (start == std::string::npos ? -1 : static_cast<std::ptrdiff_t>(start));
    throw ConfigError(
        fmt::format("{}:{}:{}: file: holds a control character (a text file)", name, line, column));
  }
  try {
    YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) {
      fail_file(name, "holds no configuration", "a map of keys, starting schema_version: 1");
    }
    return root;
  } catch (const YAML::Exception& exception) {
    throw ConfigError(
        fmt::format("{}: file: {} (YAML)", place(name, exception.mark), exception.msg));
  }
}

YAML::Node load_yaml(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  const char* const allowed = "a readable YAML file";
  if (!std::filesystem::exists(status)) fail_file(path, "does not exist", allowed);
  if (!std::filesystem::is_regular_file(status)) fail_file(path, "is not a file", allowed);
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > kMaxFileBytes) {
    fail_file(path, "is too large", "a YAML file of at most 1 MiB");
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  if (!stream || content.fail()) {
    // An empty file sets failbit on the copy without being an error.
    if (size != 0) fail_file(path, "cannot be read", allowed);
  }
  return parse_yaml(content.str(), path);
}

std::string set_in_yaml(YAML::Node& root, const std::string& assignment) {
  const auto fail = [&](const std::string& problem) {
    throw ConfigError(fmt::format("--set:1:1: {}: {} (key.key=value, the keys of a configuration)",
                                  assignment, problem));
  };
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) fail("has no key or no '='");
  YAML::Node value;
  try {
    value = YAML::Load(assignment.substr(equals + 1));
  } catch (const YAML::Exception& exception) {
    fail(exception.msg);
  }
  std::string path = assignment.substr(0, equals);
  YAML::Node node = root;
  for (;;) {
    if (!node.IsMap()) fail("goes through something that is not a map");
    const auto dot = path.find('.');
    const std::string key = path.substr(0, dot);
    if (key.empty()) fail("has an empty key");
    if (dot == std::string::npos) {
      node[key] = value;
      return assignment.substr(0, equals);
    }
    if (!node[key].IsDefined() || node[key].IsNull()) node[key] = YAML::Node(YAML::NodeType::Map);
    YAML::Node next = node[key];
    node.reset(next);
    path = path.substr(dot + 1);
  }
}

}  // namespace shootdown::cosim
