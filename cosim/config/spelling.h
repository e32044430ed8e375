// Which word somebody may have meant, for messages about words that are unknown.
#ifndef SHOOTDOWN_COSIM_CONFIG_SPELLING_H
#define SHOOTDOWN_COSIM_CONFIG_SPELLING_H

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shootdown::cosim {

/// Letters to insert, remove or replace so that one becomes the other.
std::size_t edit_distance(std::string_view a, std::string_view b);
/// The `count` words that are nearest to `text`, nearest first; equally near ones in their order.
std::vector<std::string> nearest_words(std::string_view text,
                                       std::span<const std::string_view> words, std::size_t count);

}  // namespace shootdown::cosim

#endif
