// Reads whole files. In a sandbox that lets nothing be opened, somebody outside of it opens them (control/opener.h).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace slipgate {

// What to do about a pipe that nobody writes to.
enum class AtPipe { wait, give_up };

// Up to `most` bytes of the file, what is beyond is not read. Any thread.
Result<std::string> read_file(const std::string &path, size_t most, AtPipe at_pipe = AtPipe::give_up);

// The names of the files that were asked for so far, before there was an opener: what may be read again. Any thread.
std::vector<std::string> files_read();

// From now on `opener` opens: it gives a descriptor that read_file() closes, or an errno negated, and may be called by
// any thread. Empty: the process itself again. Before the first thread.
using FileOpener = std::function<int(const std::string &path)>;
void let_files_be_opened_by(FileOpener opener);

}  // namespace slipgate
