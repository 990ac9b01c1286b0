/*
 * commands.h - what the program does besides serving: `etinde verify` and others.
 *
 * A command works on the data directory of a stopped server, prints its result
 * to standard output and what goes wrong to standard error.
 */
#ifndef SERVER_COMMANDS_H
#define SERVER_COMMANDS_H

#include <stdbool.h>

struct buffer;

/* Does the command line begin with a command's name (anything that is no flag)? */
bool command_is_named(int argc, char **argv);

/* Run it; gives the exit code: 0 good, 1 failed or damage found, 2 wrong usage. */
int command_run(int argc, char **argv);

/* A line for each command: for --help. */
void commands_append_help(struct buffer *out);

#endif
