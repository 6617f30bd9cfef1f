// The program's commands: one row each (main.cc), one file each.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/problem.h"

namespace slipgate::cli {

using Words = std::span<const std::string>;

// Exit codes that every command keeps to.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // at run time
inline constexpr int kUsage = 2;   // usage or configuration; nothing was started

int run_wireguard(Words arguments);
int run_gue(Words arguments);
int run_run(Words arguments);
int run_tun(Words arguments);
int run_quick(Words arguments);
int run_peer(Words arguments);
int run_genkey(Words arguments);
int run_pubkey(Words arguments);
int run_genpsk(Words arguments);
int run_check(Words arguments);
int run_status(Words arguments);
int run_flows(Words arguments);
int run_top(Words arguments);
int run_reload(Words arguments);
int run_rate(Words arguments);
int run_forward(Words arguments);
int run_wg(Words arguments);
int run_as(Words arguments);
int run_as_wgslirpy(Words arguments);
int run_as_wireguard_go(Words arguments);

// On standard error, one line each. print_problems() gives the exit code that goes with problems.
int print_problems(const Problems &problems);
void print_notes(const Problems &notes);
int fail(std::string_view text, int code = kFailed);

// Standard output, at once: what follows on standard error comes after it.
void print(std::string_view text);
// What people read and scripts do not: standard output when that is a terminal, else standard error.
void tell(std::string_view text);

}  // namespace slipgate::cli
