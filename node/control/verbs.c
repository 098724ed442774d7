/* The verb table: what may be asked, by whom. */
#include "node/control/call.h"

const struct verb verbs[] = {
        {"status", ASK_SOCKET | ASK_OUT, ROLE_READ, verb_status},
        {"members", ASK_SOCKET, ROLE_READ, verb_members},
        {"stacks", ASK_SOCKET, ROLE_READ, verb_stacks},
        {"ps", ASK_SOCKET, ROLE_READ, verb_ps},
        {"tasks", ASK_SOCKET | ASK_PEERS | ASK_OUT, ROLE_READ, verb_tasks},
        {"stack", ASK_SOCKET, ROLE_READ, verb_stack},
        {"history", ASK_SOCKET, ROLE_READ, verb_history},
        {"signed", ASK_SOCKET, ROLE_READ, verb_signed},
        {"keys", ASK_SOCKET, ROLE_READ, verb_keys},
        {"setting", ASK_SOCKET, ROLE_READ, verb_setting},
        {"drain", ASK_SOCKET, ROLE_READ, verb_drain},
        {"peer", ASK_SOCKET, ROLE_READ, verb_peer},
        {"tokens", ASK_SOCKET, ROLE_READ, verb_tokens},
        {"revocable", ASK_SOCKET, ROLE_READ, verb_revocable},
        {"leave", ASK_SIGNED, ROLE_ADMIN, verb_leave},
        {"explain", ASK_SOCKET, ROLE_READ, verb_explain},
        {"plan", ASK_SIGNED, ROLE_READ, verb_plan},
        {"rebalance", ASK_SOCKET, ROLE_READ, verb_rebalance},
        {"inspect", ASK_SIGNED, ROLE_READ, verb_inspect},
        {"logs", ASK_SIGNED | ASK_OUT, ROLE_READ, verb_logs},
        {"usage", ASK_SOCKET | ASK_PEERS, ROLE_READ, verb_usage},
        {"events", ASK_SOCKET | ASK_PEERS, ROLE_READ, verb_events},
        {"exec", ASK_SIGNED, ROLE_DEPLOY, verb_exec},
        {"relay", ASK_SOCKET, ROLE_READ, verb_relay},
        /* The record carries its author's signature; gossip_submit() judges it. */
        {"submit", ASK_SOCKET, ROLE_READ, verb_submit},
        {"chain", ASK_SOCKET | ASK_OUT, ROLE_READ, verb_chain},
        {"join", ASK_INVITE, ROLE_NONE, verb_join},
        {"admit", ASK_INVITE, ROLE_NONE, verb_admit},
};
const size_t n_verbs = ARRAY_LEN(verbs);
