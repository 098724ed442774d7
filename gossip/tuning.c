#include "gossip/tuning.h"

static const struct tuning tunings[] = {
        /* One site: round trips below 10 ms, hosts that stall for some hundred milliseconds. */
        [PROFILE_LAN] = {.period = 1000,
                .ping_min = 100,
                .ping_max = 300,
                .indirect = 400,
                .suspicion_unit = 625,
                .spread = 100,
                .alpha = 4,
                .beta = 6,
                .parts = PARTS_ALL},
        /* Sites far apart: round trips up to half a second, bursts of loss. */
        [PROFILE_WAN] = {.period = 2000,
                .ping_min = 300,
                .ping_max = 1000,
                .indirect = 1500,
                .suspicion_unit = 1500,
                .spread = 250,
                .alpha = 4,
                .beta = 6,
                .parts = PARTS_ALL},
        /* Agents on one machine: tests and demonstrations. */
        [PROFILE_LOCAL] = {.period = 500,
                .ping_min = 50,
                .ping_max = 200,
                .indirect = 250,
                .suspicion_unit = 500,
                .spread = 50,
                .alpha = 4,
                .beta = 6,
                .parts = PARTS_ALL},
};

const struct tuning *tuning_of(enum gossip_profile profile)
{
	return &tunings[profile];
}
