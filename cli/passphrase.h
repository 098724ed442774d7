/* Where the passphrases of sealed key files come from: a file, the environment, or the person at the terminal. */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include "cli/cli.h"

/* Serves keyfile_passphrases() for this command line:
 * 1. --passphrase-file FILE, else STARLING_PASSPHRASE_FILE: its first line;
 * 2. STARLING_PASSPHRASE;
 * 3. the terminal, without echo; a new one is asked for twice. */
void passphrase_begin(const struct cli *cli);
/* Wipes what was given. */
void passphrase_end(void);

#endif
