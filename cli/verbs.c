/* The verb table. Order is the order of the help text. */
#include "cli/cli.h"

#include "placement/settings.h"

#define VERB(name, alias, args, min, max, id, brief, ...)                                                        \
	{                                                                                                        \
		name, alias, args, brief, min, max, cmd_##id##_options, cmd_##id, __VA_ARGS__                    \
	}

const struct cli_verb cli_verbs[] = {
        VERB("init", NULL, "", 0, 0, init,
                "make a flock: root key, admin key, genesis, this host as its first peer", NULL),
        VERB("join", NULL, "TOKEN", 1, 1, join, "make this host a peer of a flock", NULL),
        VERB("agent", NULL, "", 0, 0, agent, "run this host's agent, in the foreground", NULL),
        VERB("token create", NULL, "", 0, 0, token_create, "make a token that lets a new host join", NULL),
        VERB("token ls", NULL, "", 0, 0, token_ls, "list tokens: who joined with them, whether they still admit",
                NULL),
        VERB("token revoke", NULL, "ID", 1, 1, token_revoke, "make a token admit nobody more", NULL),
        VERB("key new", NULL, "FILE", 1, 1, key_new, "make an operator key", NULL),
        VERB("key ls", NULL, "", 0, 0, key_ls, "list the flock's operators", NULL),
        VERB("key grant", NULL, "KEY NAME", 2, 2, key_grant, "let an operator key act in the flock", NULL),
        VERB("key revoke", NULL, "NAME|KEY", 1, 1, key_revoke, "make void what a key signs from now on",
                "What it signed until now stays valid: the records that it is known to have signed are listed in the\n"
                "revocation, or those that --keep names with what came before them in the key's own history (see key\n"
                "history). A key revokes what it granted, directly or through others; the root key revokes any."),
        VERB("key history", NULL, "NAME|KEY", 1, 1, key_history, "list what a key signed, newest first",
                "Revoked keys too. What does not count is kept, and named with its reason by -o wide."),
        VERB("key succeed", NULL, "KEY", 1, 1, key_succeed, "name the key that succeeds the flock's root",
                "Signed with the root key: --key FILE. KEY is 64 digits or a file (key new --root). It is root from then on\n"
                "and stands above the old root, which acts until the new one revokes it. A root names one successor."),
        VERB("key seal", NULL, "FILE", 1, 1, key_seal, "seal a key file by a passphrase", NULL),
        VERB("key unseal", NULL, "FILE", 1, 1, key_unseal, "take a key file's passphrase away", NULL),
        VERB("status", NULL, "", 0, 0, status, "this peer: state, peers in sight, store, DNS", NULL),
        VERB("node ls", NULL, "", 0, 0, node_ls, "list the flock's peers", NULL),
        VERB("node drain", NULL, "PEER", 1, 1, node_drain,
                "hand over all that a peer runs, and give it nothing new",
                "Shows each task that another peer has taken over; one stops only once it is served elsewhere. What fits\n"
                "nowhere else keeps running, and is named with its reason. Tasks of global services stop. Ctrl-C ends the\n"
                "waiting, not the drain; node resume does. Exit: 4 all that is left fits nowhere, 6 after --timeout (10m)."),
        VERB("node resume", NULL, "PEER", 1, 1, node_resume, "let a drained peer take tasks again", NULL),
        VERB("node label", NULL, "PEER KEY=VALUE... KEY-...", 2, 33, node_label,
                "set labels of a peer, or take them away",
                "KEY=VALUE sets, KEY- takes away; both stand above what the agent was started with (--label). For\n"
                "deploy.placement (constraints, preferences) and x-starling.prefer: node.labels.KEY."),
        VERB("node evict", NULL, "PEER", 1, 1, node_evict, "put a peer out of the flock for good",
                "PEER is a name, NAME~ID or an id, as node ls shows them. Every peer closes its sessions with it and\n"
                "starts its tasks elsewhere. Peers that joined by its word stay."),
        VERB("rebalance", NULL, "", 0, 0, rebalance, "even out what peers carry, now",
                "The flock does so by itself, slowly, once a peer carries 1.25 times the mean and another less than 0.6\n"
                "times. This orders it to begin at once. --plan only shows what would move, and how full each peer is:\n"
                "its fullest of cpu and memory, where a task that reserves nothing counts as 0.1 cpus and 64 MiB."),
        VERB("voters set", NULL, "PEER...", 1, VOTERS_MAX, voters_set, "name the peers that decide in a split",
                "For services with `x-starling.partition: majority`: they run only on a side of a split that sees more than\n"
                "half of these peers. Name 3 or 5 on hosts that do not fail together. The list replaces the one before."),
        VERB("voters ls", NULL, "", 0, 0, voters_ls, "list the peers that decide in a split", NULL),
        VERB("leave", NULL, "", 0, 0, leave, "move this host's tasks elsewhere and end its agent",
                "Waits for other peers to take over, at most --timeout (1m), then for the agent to end."),
        VERB("deploy", "up", "FILE | --revision ID STACK", 0, 1, deploy,
                "sign a stack, hand it to the flock, wait until it runs",
                "FILE is a Compose file; see docs/compose.md. Waits until every slot runs the new revision and is\n"
                "healthy; Ctrl-C ends the waiting, not the deployment. Exit: 4 a slot fits nowhere, 6 timeout."),
        VERB("plan", NULL, "FILE", 0, 1, plan,
                "show what deploying a file would change, and where its slots would go",
                "Writes nothing. Exit: 0 nothing would change, 3 there are changes, 4 and a slot would fit nowhere."),
        VERB("validate", NULL, "FILE", 0, 1, validate, "check a Compose file; needs no peer",
                "Names every fault with FILE:LINE:COLUMN. Exit 2 when there are any."),
        VERB("ls", NULL, "", 0, 0, ls, "list stacks", NULL),
        VERB("ps", NULL, "[STACK]", 0, 1, ps, "list tasks, and slots that have none, with why", NULL),
        VERB("inspect", NULL, "STACK | STACK/SERVICE | node PEER", 1, 2, inspect,
                "all that is known of one, as JSON", NULL),
        VERB("explain", NULL, "STACK/SERVICE[/SLOT]", 1, 1, explain, "why a slot is where it is, peer by peer",
                "For each slot: where it runs or what it waits for, then for each peer whether it could take the slot,\n"
                "else what it lacks. docs/placement.md lists the numbers. Without SLOT: all slots, at most 64."),
        VERB("logs", NULL, "STACK[/SERVICE[/SLOT]]", 1, 1, logs, "what tasks wrote, merged by time", NULL),
        VERB("exec", NULL, "STACK/SERVICE[/SLOT] CMD...", 2, CLI_ARGS_REST, exec, "run a command inside a task",
                "As the task's user, in its environment and limits, wherever it runs. -it for a shell. The exit code is the\n"
                "command's (127 not found, 126 not to be run); 125 is Starling's own. When this ends, so does the command."),
        VERB("top", NULL, "[STACK]", 0, 1, top, "what tasks and peers use of cpu and memory",
                "Again every two seconds on a terminal, else once. 100% is one core. -o json prints one object each time."),
        VERB("events", NULL, "", 0, 0, events, "what happened in the flock: to tasks, peers and stacks",
                "Each peer remembers its last 512. Of tasks the peer tells that runs them; of peers and stacks the one that is\n"
                "asked, as it saw them. -o json prints one object a line."),
        VERB("scale", NULL, "STACK/SERVICE=N...", 1, 16, scale, "change how many replicas services have", NULL),
        VERB("history", NULL, "STACK", 1, 1, history, "list a stack's revisions, newest first", NULL),
        VERB("rm", "down", "STACK", 1, 1, rm, "remove a stack and stop its tasks", NULL),
        VERB("image pull", NULL, "REF", 1, 1, image_pull, "fetch an image from its registry to a peer",
                "To the peer asked, or with --all to each. Needs a key that may deploy. What is fetched by hand stays until\n"
                "image rm; what tasks fetch goes a day after nobody needs it."),
        VERB("image load", NULL, "FILE|DIR", 1, 1, image_load, "bring an image from an archive to a peer",
                "FILE: what docker save or skopeo wrote (docker-archive, oci-archive); DIR: an OCI layout. Needs an admin's\n"
                "key."),
        VERB("image ls", NULL, "", 0, 0, image_ls, "list the images that a peer keeps", NULL),
        VERB("image rm", NULL, "REF|DIGEST", 1, 1, image_rm, "remove an image from a peer",
                "Refused while a stack or a task on the peer needs it. DIGEST: 7 or more of its digits. Needs an admin's key."),
        VERB("volume ls", NULL, "", 0, 0, volume_ls, "list volumes: on which peer, wanted by which services",
                NULL),
        VERB("volume inspect", NULL, "STACK/NAME", 1, 1, volume_inspect, "what is known of a volume, as JSON",
                NULL),
        VERB("volume rm", NULL, "STACK/NAME", 1, 1, volume_rm, "delete a volume and all that is in it",
                "On the peer that has it; --on PEER where several have. Refused while a task uses it or the stack wants\n"
                "it, unless --force. Needs a key that may deploy the stack. There is no way back."),
        VERB("dns query", NULL, "NAME [TYPE]", 1, 2, dns_query, "ask this peer's DNS", NULL),
        VERB("completion", NULL, "bash", 1, 1, completion, "print a completion script for the shell", NULL),
        VERB("version", NULL, "", 0, 0, version, "print the version", NULL),
        {0},
};
