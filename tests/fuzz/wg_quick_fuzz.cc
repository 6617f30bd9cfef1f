// wg-quick files: any bytes are read to values and problems; what reads well can be edited and reads well again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/wg_quick.h"
#include "config/wg_quick_edit.h"

using namespace slipgate;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  WgQuickFile file = read_wg_quick(text, "f");
  for (const Problem &problem : file.problems) must(!problem.text.empty() && problem.line >= 0);
  if (!file.problems.empty()) return 0;

  // A client's name in the file may be any text; one that nobody has is added and taken away again.
  wireguard::PublicKey key;
  key.fill(0xee);
  for (const WireGuardPeerOptions &peer : file.peers) {
    if (peer.config.name == "fuzz-new" || peer.config.public_key == key) return 0;
  }
  (void)!next_free_addresses(file);
  std::string added = add_peer_block(text, peer_block("fuzz-new", key, {}));
  WgQuickFile again = read_wg_quick(added, "f");
  must(again.problems.empty());
  must(again.peers.size() == file.peers.size() + 1);
  must(again.peers.back().config.name == "fuzz-new");
  Result<std::string> removed = remove_peer_block(added, "fuzz-new");
  must(static_cast<bool>(removed));
  must(*removed == text || (removed->size() > text.size() && removed->starts_with(text)));  // a missing last line end
  return 0;
}
