/*
 * agent.h - the whole agent: threads, clock and shutdown.
 */
#ifndef AGENTS_AGENT_H
#define AGENTS_AGENT_H

#include "base/compiler.h"

#include <stdbool.h>

struct agent_options;
struct error;

/*
 * Run until SIGINT or SIGTERM (which the caller has blocked in every thread), or with
 * options->once until everything was sent.  False when it could not start, or gave up.
 */
bool agent_run(const struct agent_options *options, struct error *err) MUST_CHECK;

#endif
