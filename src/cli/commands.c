#include "cli/cli.h"

/* size: the one table of all subcommands with their texts, from which help and manual page come. */

#define END                     \
	{                           \
		NULL, NULL, NULL, false \
	}

const struct cli_option cli_common_options[] = {
	{"--home", "DIR",
		"the installation (else the environment variable LETTERLOCK_HOME, else "
		"/var/lib/letterlock)",
		false},
	{"--json", NULL, "answer as JSON, for scripts", false},
	{"--help", NULL, "this text", false},
	END,
};

static const struct cli_option setup[] = {
	{"--hostname", "NAME",
		"full name of this server, as in DNS: its greeting, its certificate (server.hostname)",
		false},
	{"--set", "KEY=VALUE", "a setting to begin with; may be given many times", true},
	END,
};
static const struct cli_option serve[] = {
	{"--walls", "MODE",
		"enforce (the default); log or off let a forbidden system call pass, for debugging", false},
	END,
};
static const struct cli_option monitor[] = {
	{"--once", NULL, "one look, then the end", false},
	END,
};
static const struct cli_option config_list[] = {
	{"--changed", NULL, "only settings that are not at their default", false},
	END,
};
static const struct cli_option domain_add[] = {
	{"--route", "HOST:PORT", "where its mail goes; without it connectors and MX decide", false},
	END,
};
static const struct cli_option connector_add[] = {
	{"--for", "DOMAIN|*", "the domain whose mail takes this way; * for all (the default)", false},
	{"--tls", "LEVEL",
		"off (never), may (if offered), encrypt (must), verify (must, and the certificate must be "
		"good); without it relay.tls decides",
		false},
	{"--trust", "FILE",
		"certificate authorities (PEM) that this hop is checked with, in place of the trust store",
		false},
	{"--helo", "NAME", "name we give in EHLO; without it server.hostname", false},
	{"--sni", "NAME", "name we ask for and check in its certificate; without it HOST", false},
	END,
};
static const struct cli_option cert_import[] = {
	{"--passphrase-file", "FILE", "first line: the passphrase of the private key", false},
	END,
};
/* By what recipients are chosen; all that are given must fit. */
#define FILTERS                                                                            \
	{"--domain", "DOMAIN", "only recipients in this domain", false},                       \
		{"--connector", "NAME", "only what goes by this connector", false},                \
		{"--destination", "NEXT-HOP",                                                      \
			"only what goes this way, as `letterlock queue summary` names it", false},     \
		{"--sender", "ADDRESS|DOMAIN", "only mail from there; \"<>\" for bounces", false}, \
		{"--cause", "CAUSE", "only what waits for this, such as connect.refused", false},  \
		{"--older", "TIME", "only mail that came longer ago, such as 2h", false},          \
	{                                                                                      \
		"--younger", "TIME", "only mail that came since then, such as 10m", false          \
	}

static const struct cli_option queue_list[] = {
	FILTERS,
	{"--state", "STATE",
		"ready, active, deferred, held, delivered, bounced, removed or expired; without it all "
		"that "
		"wait",
		false},
	{"--limit", "N", "at most so many recipients (100)", false},
	{"--after", "PLACE", "go on where the list before ended", false},
	END,
};
static const struct cli_option queue_summary[] = {
	{"--limit", "N", "at most so many next hops (20)", false},
	END,
};
static const struct cli_option queue_change[] = {
	FILTERS,
	{"--state", "STATE", "only what is ready, active, deferred or held", false},
	{"--all", NULL, "everything that waits", false},
	END,
};
static const struct cli_option help[] = {
	{"--man", NULL, "the manual page letterlock(1), in man format", false},
	{"--settings", NULL, "the manual page letterlock-settings(5), in man format", false},
	{"--openapi", NULL, "the description of the admin API, as JSON", false},
	END,
};

#define SELECTION                                                                               \
	"Give queue ids (as `letterlock queue list` shows them), or --all, or by what the mail is " \
	"chosen: then all that is given must fit."

const struct cli_command cli_commands[] = {
	{"setup", "", 0, 0, cli_setup, setup, "Makes a new installation.",
		"Makes the folder (for its owner only), its databases and folders, and writes the first "
		"settings. An installation that is there already is left alone. The key and a first "
		"certificate, self-signed, are made when letterlock serves for the first time."},
	{"serve", "", 0, 0, cli_serve, serve, "Runs everything, in the foreground.",
		"Listens, accepts, delivers, until Ctrl-C or SIGTERM. Tells a service manager when it is "
		"ready (sd_notify). Each part runs in a process of its own and is restarted alone if it "
		"dies."},
	{"status", "", 0, 0, cli_status, NULL, "Everything at a glance.",
		"Roles, listeners, certificates in use, the queue, and first of all what is not as it "
		"should be."},
	{"monitor", "", 0, 0, cli_monitor, monitor, "Shows live what happens.",
		"Rates, sessions, the queue by next hop and by cause, the health of all processes, and "
		"what "
		"is not relayed yet: why, and when it is tried again. q quits. Where the output is no "
		"terminal, it is a line a second, and a line for each recipient that is put off; with "
		"--json "
		"an object a second, one a line."},
	{"fibers", "[ROLE]", 0, 1, cli_fibers, NULL, "What each process is at: all of its fibers.",
		"Each session and each delivery is a fiber. Tells what it waits for, for how long, and "
		"when it "
		"gives up. ROLE: only of mx, user, control, store, relay, keys or serve."},
	{"version", "", 0, 0, cli_version, NULL, "The version of this program.", NULL},
	{"service list", "", 0, 0, cli_service, NULL, "The parts of the server and how they are.",
		NULL},
	{"service start", "mx|user|relay", 1, 1, cli_service, NULL, "Starts a service.",
		"mx takes mail from other servers, user takes mail from your users, relay sends mail out."},
	{"service stop", "mx|user|relay", 1, 1, cli_service, NULL, "Stops a service.",
		"Its listeners close; what other services do goes on. Mail that is accepted while relay is "
		"stopped waits in the queue."},
	{"config set", "KEY VALUE", 2, 2, cli_config_set, NULL, "Changes a setting, live.",
		"A value that is not good is refused, with the reason, and nothing changes. Tells the old "
		"value, the new one, when it takes effect and which parts have taken it. No restart."},
	{"config get", "KEY", 1, 1, cli_config_get, NULL, "One setting, with its meaning.", NULL},
	{"config list", "", 0, 0, cli_config_list, config_list, "All settings.", NULL},
	{"domain add", "NAME", 1, 1, cli_domain_add, domain_add,
		"Adds a domain whose mail is accepted from anyone.", NULL},
	{"domain list", "", 0, 0, cli_domain_list, NULL, "The domains.", NULL},
	{"domain remove", "NAME", 1, 1, cli_domain_remove, NULL, "Removes a domain.",
		"New mail for it is refused; mail in the queue is still delivered."},
	{"connector add", "NAME HOST:PORT", 2, 2, cli_connector_add, connector_add,
		"Adds a next hop of its own for one domain or for all: a smart host.",
		"The name checked in its certificate is --sni if given, else HOST."},
	{"connector list", "", 0, 0, cli_connector_list, NULL, "The connectors.", NULL},
	{"connector show", "NAME", 1, 1, cli_connector_show, NULL, "One connector.", NULL},
	{"connector remove", "NAME", 1, 1, cli_connector_remove, NULL, "Removes a connector.",
		"Mail in the queue that was to take this way takes another."},
	{"cert import", "FILE...", 1, 64, cli_cert_import, cert_import,
		"Imports a certificate with its private key.",
		"The files (PEM) together hold the certificate, what stands between it and its authority, "
		"and the key, in any order. A pair that does not fit is refused with the reason, and the "
		"certificate before goes on serving. New connections get the new one at once."},
	{"cert list", "", 0, 0, cli_cert_list, NULL, "The certificates: those in use, then older ones.",
		NULL},
	{"queue list", "", 0, 0, cli_queue_list, queue_list, "What waits in the queue, and why.", NULL},
	{"queue summary", "", 0, 0, cli_queue_summary, queue_summary,
		"How much waits, for which next hop and for what cause.",
		"The next hops with most mail first. Counted in memory: it costs the same with ten "
		"messages "
		"and with a million."},
	{"queue show", "ID", 1, 1, cli_queue_show, NULL, "One message with its recipients.", NULL},
	{"queue retry", "[ID...]", 0, 1000, cli_queue_change, queue_change, "Tries again now.",
		SELECTION},
	{"queue hold", "[ID...]", 0, 1000, cli_queue_change, queue_change,
		"Holds mail back until it is released.", SELECTION},
	{"queue release", "[ID...]", 0, 1000, cli_queue_change, queue_change, "Lets held mail go.",
		SELECTION},
	{"queue remove", "[ID...]", 0, 1000, cli_queue_change, queue_change,
		"Drops mail without a word to its sender.", SELECTION},
	{"trace", "ID|ADDRESS|DOMAIN|MESSAGE-ID|IP", 1, 1, cli_trace, NULL,
		"Why is this mail not there? The whole story.",
		"Says first what holds the mail up, whose fault it is and what to do; then how it came and "
		"each attempt to deliver it, with the dialogue, the DNS answers and the TLS facts. Nothing "
		"has to be switched on or reproduced. A Message-ID may be given with or without <>; an IP "
		"address finds the sessions of a client that brought no mail."},
	{"help", "[SUBCOMMAND]", 0, 2, cli_help, help, "This overview, or all about a subcommand.",
		NULL},
};
const size_t cli_command_count = sizeof cli_commands / sizeof *cli_commands;
