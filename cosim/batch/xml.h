// What XML wants of a text.
#ifndef SHOOTDOWN_COSIM_BATCH_XML_H
#define SHOOTDOWN_COSIM_BATCH_XML_H

#include <string>
#include <string_view>

namespace shootdown::cosim {

/// For an attribute between double quotes.
inline std::string xml_escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

}  // namespace shootdown::cosim

#endif
