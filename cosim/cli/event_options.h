// Which events --events writes: --event-kinds, --event-actors, --event-addresses, --event-window.
#ifndef SHOOTDOWN_COSIM_CLI_EVENT_OPTIONS_H
#define SHOOTDOWN_COSIM_CLI_EVENT_OPTIONS_H

#include "cosim/cli/options.h"
#include "cosim/observe/event_writer.h"

namespace shootdown::cosim {

/// Throws ConfigError, with the option in the place of a file, for a kind, an actor or a range that
/// there is not.
EventFilter event_filter(const Options& options, const EventLog& log);

}  // namespace shootdown::cosim

#endif
