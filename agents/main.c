/* main.c - the program etinde-agent: options, signals, then agent_run(). */
#include "agents/agent.h"
#include "agents/options.h"
#include "base/error.h"
#include "base/log.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>

int main(int argc, char **argv)
{
    struct agent_options options;
    struct error err = {0};
    sigset_t signals;

    switch (agent_options_parse(argc, argv, &options, &err)) {
    case OPTIONS_SHOWN:
        return 0;
    case OPTIONS_BAD:
        fprintf(stderr, "etinde-agent: %s\n", err.message);
        return 2;
    case OPTIONS_RUN:
        break;
    }
    mallopt(M_ARENA_MAX, 1); /* three threads that rarely allocate need one heap */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (agent_run(&options, &err))
        return 0;
    log_error("agent failed", LOG_ERR(&err));
    return 1;
}
