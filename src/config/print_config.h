// `--print-config`: the configuration in force, as `slipgate run` reads it.
//
// What was said is there, by the command line and the files together; what was not stands as a comment with its
// default. Secrets are never printed: a wg-quick file, a key's file are named; a key that was given itself is a comment
// that says where it belongs, and of a URL the user and the password are left out. What is about this one process
// (--ready-fd) is left out, too.
#pragma once

#include <string>

#include "config/options.h"

namespace slipgate {

std::string print_config(const GatewayCommand &command);
// Every key and its default: what a file may begin as.
std::string print_default_config();

}  // namespace slipgate
