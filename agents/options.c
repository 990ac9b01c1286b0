/* options.c - getopt_long for the agent (see options.h). */
#include "agents/options.h"

#include "base/duration.h"
#include "base/error.h"
#include "version.h"

#include <getopt.h>

enum { INTERVAL_MIN_MS = 100, INTERVAL_MAX_MS = 3600 * 1000 };

static const char usage[] =
    "etinde-agent sends this machine's metrics and logs to an Etinde server.\n"
    "\n"
    "  --server URL          where to send (http://127.0.0.1:9201)\n"
    "  --tenant NAME         sent as X-Scope-OrgID\n"
    "  --interval DURATION   between two looks at the metrics (15s)\n"
    "  --state DIR           what must survive a restart (/var/lib/etinde-agent)\n"
    "  --positions FILE      how far each log is sent (DIR/positions)\n"
    "  --logs GLOB           files to tail; may be given several times; ** is any depth\n"
    "  --log-format FORMAT   auto, plain, cri or docker (auto)\n"
    "  --label NAME=VALUE    on everything sent; may be given several times\n"
    "  --path.procfs DIR     (/proc)\n"
    "  --path.sysfs DIR      (/sys)\n"
    "  --path.rootfs DIR     prefix of mount points (/)\n"
    "  --no-metrics          send logs only\n"
    "  --once                send what there is now, then end\n"
    "  --version, --help\n";

enum option_code {
    OPT_SERVER = 1,
    OPT_TENANT,
    OPT_INTERVAL,
    OPT_STATE,
    OPT_POSITIONS,
    OPT_LOGS,
    OPT_LOG_FORMAT,
    OPT_LABEL,
    OPT_PROCFS,
    OPT_SYSFS,
    OPT_ROOTFS,
    OPT_NO_METRICS,
    OPT_ONCE,
    OPT_VERSION,
    OPT_HELP
};

static const struct option table[] = {
    {"server", required_argument, NULL, OPT_SERVER},
    {"tenant", required_argument, NULL, OPT_TENANT},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"state", required_argument, NULL, OPT_STATE},
    {"positions", required_argument, NULL, OPT_POSITIONS},
    {"logs", required_argument, NULL, OPT_LOGS},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"label", required_argument, NULL, OPT_LABEL},
    {"path.procfs", required_argument, NULL, OPT_PROCFS},
    {"path.sysfs", required_argument, NULL, OPT_SYSFS},
    {"path.rootfs", required_argument, NULL, OPT_ROOTFS},
    {"no-metrics", no_argument, NULL, OPT_NO_METRICS},
    {"once", no_argument, NULL, OPT_ONCE},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static bool set_server(struct agent_options *o, char *url, struct error *err)
{
    struct slice text = slice_from_text(url);
    if (!slice_starts_with(text, SLICE("http://")) && !slice_starts_with(text, SLICE("https://")))
        return error_set(err, ERR_INVALID, "--server %s is no http:// or https:// URL", url);
    while (text.size > 0 && url[text.size - 1] == '/')
        url[--text.size] = '\0';
    o->server = url;
    return true;
}

static bool set_interval(struct agent_options *o, const char *text, struct error *err)
{
    int64_t ns;
    if (!duration_parse_go(slice_from_text(text), &ns))
        return error_set(err, ERR_INVALID, "--interval %s is no duration such as 15s", text);
    if (ns < INTERVAL_MIN_MS * NS_PER_MS || ns > INTERVAL_MAX_MS * NS_PER_MS)
        return error_set(err, ERR_INVALID, "--interval %s is not between 100ms and 1h", text);
    o->interval_ms = ns / NS_PER_MS;
    return true;
}

static bool add_label(struct agent_options *o, const char *text, struct error *err)
{
    struct slice whole = slice_from_text(text);
    size_t equals = slice_find_byte(whole, '=', 0);
    if (equals == SLICE_NOT_FOUND || !label_name_is_classic(slice_sub(whole, 0, equals)))
        return error_set(err, ERR_INVALID, "--label %s is no name=value", text);
    if (o->label_count == AGENT_LABELS_MAX)
        return error_set(err, ERR_INVALID, "more than %d labels", (int)AGENT_LABELS_MAX);
    o->labels[o->label_count++] =
        (struct label){slice_sub(whole, 0, equals), slice_skip(whole, equals + 1)};
    return true;
}

static bool add_logs(struct agent_options *o, const char *pattern, struct error *err)
{
    if (o->log_count == AGENT_LOGS_MAX)
        return error_set(err, ERR_INVALID, "more than %d --logs", (int)AGENT_LOGS_MAX);
    if (pattern[0] != '/')
        return error_set(err, ERR_INVALID, "--logs %s is no absolute path", pattern);
    o->logs[o->log_count++] = pattern;
    return true;
}

static bool apply(struct agent_options *o, int code, char *value, struct error *err)
{
    switch (code) {
    case OPT_SERVER:
        return set_server(o, value, err);
    case OPT_TENANT:
        o->tenant = value;
        return true;
    case OPT_INTERVAL:
        return set_interval(o, value, err);
    case OPT_STATE:
        o->state = value;
        return true;
    case OPT_POSITIONS:
        o->positions = value;
        return true;
    case OPT_LOGS:
        return add_logs(o, value, err);
    case OPT_LOG_FORMAT:
        return log_format_from_name(slice_from_text(value), &o->log_format) ||
               error_set(err, ERR_INVALID, "--log-format %s is not auto, plain, cri or docker",
                         value);
    case OPT_LABEL:
        return add_label(o, value, err);
    case OPT_PROCFS:
        o->procfs = value;
        return true;
    case OPT_SYSFS:
        o->sysfs = value;
        return true;
    case OPT_ROOTFS:
        o->rootfs = value;
        return true;
    case OPT_NO_METRICS:
        o->metrics = false;
        return true;
    case OPT_ONCE:
        o->once = true;
        return true;
    default:
        return error_set(err, ERR_INVALID, "unknown option or missing value; see --help");
    }
}

enum options_result agent_options_parse(int argc, char **argv, struct agent_options *options,
                                        struct error *err)
{
    int code;
    *options = (struct agent_options){
        .server = "http://127.0.0.1:9201",
        .interval_ms = 15000,
        .state = "/var/lib/etinde-agent",
        .log_format = LOG_FORMAT_AUTO,
        .procfs = "/proc",
        .sysfs = "/sys",
        .rootfs = "/",
        .metrics = true,
    };
    optind = 0;
    while ((code = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (code == OPT_HELP || code == OPT_VERSION) {
            fputs(code == OPT_HELP ? usage
                                   : "etinde-agent " ETINDE_VERSION " (" ETINDE_COMMIT ")\n",
                  stdout);
            return OPTIONS_SHOWN;
        }
        if (!apply(options, code, optarg, err))
            return OPTIONS_BAD;
    }
    if (optind < argc) {
        error_set(err, ERR_INVALID, "unexpected argument %s; see --help", argv[optind]);
        return OPTIONS_BAD;
    }
    if (!options->metrics && options->log_count == 0) {
        error_set(err, ERR_INVALID, "nothing to do: --no-metrics and no --logs");
        return OPTIONS_BAD;
    }
    return OPTIONS_RUN;
}
