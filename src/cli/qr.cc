#include "cli/qr.h"

#include <qrencode.h>

#include <cerrno>
#include <memory>

namespace slipgate::cli {

Result<std::string> qr_code(std::string_view text, bool colours) {
  constexpr int kQuietZone = 4;  // ISO/IEC 18004 section 5.3.8
  std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
      QRcode_encodeData(static_cast<int>(text.size()), reinterpret_cast<const unsigned char *>(text.data()), 0,
                        QR_ECLEVEL_L),
      &QRcode_free);
  if (!code) return Error::from_errno(errno, "no QR code");
  int width = code->width;
  auto is_light = [&](int x, int y) {
    bool inside = x >= 0 && y >= 0 && x < width && y < width;
    return !inside || (code->data[y * width + x] & 1) == 0;
  };
  std::string lines;
  for (int y = -kQuietZone; y < width + kQuietZone; y += 2) {
    if (colours) lines += "\033[97;40m";  // white blocks on black
    for (int x = -kQuietZone; x < width + kQuietZone; x++) {
      bool upper = is_light(x, y), lower = y + 1 < width + kQuietZone && is_light(x, y + 1);
      lines += upper && lower ? "\u2588" : upper ? "\u2580" : lower ? "\u2584" : " ";
    }
    lines += colours ? "\033[0m\n" : "\n";
  }
  return lines;
}

}  // namespace slipgate::cli
