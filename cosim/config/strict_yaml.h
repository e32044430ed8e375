// YAML read strictly: a key that is unknown, missing, doubled or of the wrong kind is an error with
// its place. yaml-cpp 0.7 by itself keeps the first of two equal keys and reads 010 as eight.
#ifndef SHOOTDOWN_COSIM_CONFIG_STRICT_YAML_H
#define SHOOTDOWN_COSIM_CONFIG_STRICT_YAML_H

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shootdown::cosim {

/// The user's mistake. what() is `file:line:column: key: problem (what is allowed)`.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a tree was read from, for messages.
struct YamlSource {
  std::string file;
  std::vector<std::string> assigned;  ///< keys whose values --set gave
};

/// A node together with its name for messages. Copies are cheap.
class YamlValue {
 public:
  YamlValue(YamlSource source, std::string key, YAML::Node node)
      : source_(std::make_shared<const YamlSource>(std::move(source))),
        key_(std::move(key)),
        node_(std::move(node)) {}

  const std::string& key() const { return key_; }
  const YAML::Node& node() const { return node_; }
  /// `file:line`, or the --set that it comes from.
  std::string origin() const;
  [[noreturn]] void fail(const std::string& problem, const std::string& allowed) const;

  bool is_scalar() const { return node_.IsScalar(); }
  bool is_map() const { return node_.IsMap(); }
  bool is_list() const { return node_.IsSequence(); }

  std::string text() const;
  /// Decimal or 0x hexadecimal, underscores between digits, no leading zero.
  std::uint64_t integer(std::uint64_t min, std::uint64_t max) const;
  bool boolean() const;
  /// A name: a letter, then letters, digits and underscores.
  std::string identifier() const;
  /// One of `words`; returns its index.
  std::size_t word(const std::vector<std::string>& words) const;
  /// A value below this one, for messages.
  YamlValue child(const std::string& key, const YAML::Node& node) const {
    return YamlValue(source_, key, node);
  }
  /// The elements of a list; an element's key is `key[i]`.
  std::vector<YamlValue> elements() const;

 private:
  YamlValue(std::shared_ptr<const YamlSource> source, std::string key, YAML::Node node)
      : source_(std::move(source)), key_(std::move(key)), node_(std::move(node)) {}
  bool assigned() const;

  std::shared_ptr<const YamlSource> source_;
  std::string key_;
  YAML::Node node_;
};

/// A map whose keys are each asked for; finish() rejects the rest.
class YamlMap {
 public:
  explicit YamlMap(const YamlValue& value);

  std::optional<YamlValue> find(const std::string& key);
  YamlValue require(const std::string& key);
  /// For maps with the user's own names: every key with its value, in order.
  std::vector<std::pair<YamlValue, YamlValue>> entries();
  /// Rejects keys that were not asked for.
  void finish() const;

  /// Assigns `target` if the key is there.
  void read(const std::string& key, unsigned& target, std::uint64_t min, std::uint64_t max);
  void read(const std::string& key, std::uint64_t& target, std::uint64_t min, std::uint64_t max);
  void read(const std::string& key, bool& target);
  template <class Enum>
  void read_word(const std::string& key, Enum& target, const std::vector<std::string>& words) {
    if (const auto value = find(key)) target = static_cast<Enum>(value->word(words));
  }
  const YamlValue& value() const { return value_; }

 private:
  std::string child_key(const std::string& key) const;
  YamlValue value_;
  std::set<std::string> known_;
};

/// Reads a file. Directories, binary files and files over 1 MiB are errors.
YAML::Node load_yaml(const std::string& path);
/// From a text that messages call `name`.
YAML::Node parse_yaml(const std::string& text, const std::string& name);
/// Replaces or adds the value at a dotted path of keys, which is returned.
std::string set_in_yaml(YAML::Node& root, const std::string& assignment);
std::string join(const std::vector<std::string>& words, std::string_view separator);

}  // namespace shootdown::cosim

#endif
