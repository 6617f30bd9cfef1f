// slipgate genkey | pubkey | genpsk: as wg(8).
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "cli/command.h"
#include "config/values.h"
#include "crypto/key_text.h"
#include "crypto/random.h"
#include "crypto/x25519.h"

namespace slipgate::cli {

namespace {

constexpr size_t kLongestInput = 4096;

int usage(Words arguments, std::string_view name, std::string_view does) {
  if (arguments[0] == "--help" || arguments[0] == "-h") {
    print(fmt::format("slipgate {}: {}\n", name, does));
    return kDone;
  }
  return fail(fmt::format("{}: {}: takes no arguments", name, arguments[0]), kUsage);
}

// As wg(8) does: a key that everybody may read is hardly one.
void warn_of_open_file() {
  struct stat status {};
  if (fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IRWXO) != 0) {
    fail(
        "note: writing the key to a file that everybody may read; `umask 077` before it makes files that only you "
        "read");
  }
}

void print_key(const Secret<32> &key) {
  warn_of_open_file();
  std::string line = to_base64(key.bytes()) + "\n";
  print(line);
  wipe({reinterpret_cast<uint8_t *>(line.data()), line.size()});
}

std::string read_input() {
  std::string text;
  std::array<char, 512> chunk;
  while (text.size() < kLongestInput) {
    ssize_t count = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(chunk.data(), static_cast<size_t>(count));
  }
  return text;
}

}  // namespace

int run_genkey(Words arguments) {
  if (!arguments.empty()) return usage(arguments, "genkey", "prints a new private key in base64");
  print_key(generate_private_key());
  return kDone;
}

int run_genpsk(Words arguments) {
  if (!arguments.empty()) return usage(arguments, "genpsk", "prints a new pre-shared key in base64");
  Secret<32> key;
  fill_random(key.mutable_bytes());
  print_key(key);
  return kDone;
}

int run_pubkey(Words arguments) {
  if (!arguments.empty()) {
    return usage(arguments, "pubkey", "reads a private key from standard input, prints its public key");
  }
  std::string text = read_input();
  std::string_view line = text;
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  Result<wireguard::Key> key = parse_key(trim(line), "private key on standard input", true);
  wipe({reinterpret_cast<uint8_t *>(text.data()), text.size()});
  if (!key) return fail(key.error().text);
  print(to_base64(public_key_of(*key)) + "\n");
  return kDone;
}

}  // namespace slipgate::cli
