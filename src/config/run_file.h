// `slipgate run FILE.toml`: any number of links of any kind in one process, under one policy.
//
// At the top of the file stand the options of every command that serves, under their long names with _ for -; each link
// is a table of an array, [[wireguard]] or [[gue]], and has the options of its kind. [[wireguard]] takes a wg-quick
// file
// (`config`), or is said here: its key, and a [[wireguard.peer]] for each peer with wg-quick's names in lower case. An
// option that may repeat takes a value or an array, a flag takes true or false. Names of files (FILE, PATH in --help)
// count from the folder of the file that they stand in.
//
// Reading never stops at the first problem, unless the text is no TOML: all of them are found, each with its line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"

namespace slipgate {

// A link of a file while it is read: what its options fill in.
struct LinkDraft {
  LinkOptions link;
  WireGuardFlags flags;
  std::string name;    // empty: not said
  std::string config;  // likewise
};

// All keys of a link's table, "wireguard" or "gue", which the draft is made for.
std::vector<Option> link_table_options(std::string_view kind, LinkDraft &draft);
// What [[wireguard.peer]] has.
std::span<const OptionRow<WireGuardPeerOptions>> peer_table_rows();

// `path` is for messages, and names in the file count from its folder. Any bytes may be given.
GatewayCommand read_run_file(std::string_view text, const std::string &path);
// Reads the file; that it cannot be read is a problem.
GatewayCommand load_run_file(const std::string &path);
// Whether `slipgate check` takes the file for one of these: by its name, or by what it begins with.
bool is_run_file(const std::string &path);

// `slipgate run FILE [options]`: the options win over the file. Called again for a reload.
GatewayCommand read_run_command(std::span<const std::string> arguments);
std::string run_help();

}  // namespace slipgate
