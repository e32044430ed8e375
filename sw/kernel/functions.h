// The names of the kernel functions whose entry and exit are traced.
#ifndef SHOOTDOWN_SW_KERNEL_FUNCTIONS_H
#define SHOOTDOWN_SW_KERNEL_FUNCTIONS_H

#include <span>
#include <string_view>

namespace shootdown::sw {

/// Every name that a FunctionTrace is given, by this stack or by the platform that runs it, in
/// alphabetical order. A name in parentheses tells two forms of a function apart.
std::span<const std::string_view> traced_functions();

}  // namespace shootdown::sw

#endif
