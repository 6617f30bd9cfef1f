// slipgate top: a gateway's throughput, peers and busiest flows, drawn again every second on a terminal.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/time.h"
#include "cli/ask_gateways.h"
#include "cli/command.h"
#include "control/control_socket.h"

namespace slipgate::cli {

namespace {

using nlohmann::json;

constexpr milliseconds kEvery{1000};
constexpr size_t kFewestLines = 10, kFewestColumns = 40;

volatile sig_atomic_t ended = 0;

// The terminal while top has it: another screen, no cursor, keys as they are pressed. As before when it goes.
class Screen {
 public:
  Screen() {
    ::tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    print("\x1b[?1049h\x1b[?25l");
  }
  ~Screen() {
    print("\x1b[?25h\x1b[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  termios before_{};
};

// Text of others on our terminal: no control sequences, and a width of its own.
std::string cell(std::string_view text, size_t width) {
  std::string shown;
  size_t columns = 0;
  for (size_t i = 0; i < text.size(); i++) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const bool starts = (byte & 0xc0) != 0x80;
    if (starts && columns == width) break;
    if (starts) columns++;
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<uint8_t>(text[i + 1]) < 0xa0) {  // U+0080 to U+009F
      shown += '?';
      i++;
      continue;
    }
    shown += byte < 0x20 || byte == 0x7f ? '?' : text[i];
  }
  shown.append(width - columns, ' ');
  return shown;
}

std::string rate_text(double rate) {
  return bytes_text(rate) + "/s";
}

// Counters of the look before, from which a rate is.
class Rates {
 public:
  double of(const std::string &what, std::optional<double> value, double at) {
    Point &known = points_[what];
    const double span = at - known.at, moved = value.value_or(0) - known.value;
    const double rate = known.at > 0 && span > 0 && moved >= 0 ? moved / span : 0;
    known = {value.value_or(0), at};
    return rate;
  }

 private:
  struct Point {
    double value = 0, at = 0;
  };
  std::map<std::string, Point> points_;
};

std::vector<std::string> lines_of(const json &answer, Rates &rates, size_t lines) {
  const json empty = json::object();
  const json &status = answer.contains("status") ? answer["status"] : empty;
  const json &bytes = status.contains("bytes") ? status["bytes"] : empty;
  const double at = number_of_member(status, "uptime_seconds").value_or(0);
  std::vector<std::string> text;
  text.push_back(fmt::format("{}  UDP {}  up {}  flows {} of {}  TCP {}", text_of_member(status, "name"),
                             text_of_member(status, "listen"), duration_text(at), text_of_member(status, "flows"),
                             text_of_member(status, "flows_limit"), text_of_member(status, "tcp_connections")));
  text.push_back(fmt::format("from inside {}  to inside {}  handshakes {}  DNS {}",
                             rate_text(rates.of("in", number_of_member(bytes, "from_link"), at)),
                             rate_text(rates.of("out", number_of_member(bytes, "to_link"), at)),
                             text_of_member(status, "handshakes"), text_of_member(status, "dns_queries")));
  uint64_t dropped = 0;
  std::string worst;
  if (status.contains("drops") && status["drops"].is_object()) {
    uint64_t most = 0;
    for (const auto &[reason, count] : status["drops"].items()) {
      if (!count.is_number()) continue;
      dropped += count.get<uint64_t>();
      if (count.get<uint64_t>() > most) worst = fmt::format(", most: {} {}", count.get<uint64_t>(), reason);
      most = std::max(most, count.get<uint64_t>());
    }
  }
  text.push_back(fmt::format("dropped {}{}", dropped, worst));

  text.push_back("");
  text.push_back(
      fmt::format("{} {} {:>11} {:>11} {:>12}", cell("PEER", 20), cell("ENDPOINT", 24), "IN", "OUT", "HANDSHAKE"));
  const size_t most_peers = lines / 3;
  if (status.contains("peers") && status["peers"].is_array()) {
    size_t shown = 0;
    for (const json &peer : status["peers"]) {
      const std::string key = text_of_member(peer, "public_key"), name = text_of_member(peer, "name");
      const double in = rates.of(key + " in", number_of_member(peer, "received_bytes"), at);
      const double out = rates.of(key + " out", number_of_member(peer, "sent_bytes"), at);
      std::optional<double> handshake = number_of_member(peer, "seconds_since_handshake");
      if (++shown > most_peers) continue;
      text.push_back(fmt::format("{} {} {:>11} {:>11} {:>12}", cell(name == "-" ? key : name, 20),
                                 cell(text_of_member(peer, "endpoint"), 24), rate_text(in), rate_text(out),
                                 handshake ? duration_text(handshake) + " ago" : "never"));
    }
  }
  text.push_back("");
  text.push_back(fmt::format("{:>11} {:>11} {} {} {}", "UP", "DOWN", cell("CLIENT", 12), cell("FLOW", 48), "HOST"));
  if (answer.contains("flows") && answer["flows"].is_array()) {
    for (const json &flow : answer["flows"]) {
      text.push_back(fmt::format(
          "{:>11} {:>11} {} {} {}", rate_text(number_of_member(flow, "up_per_second").value_or(0)),
          rate_text(number_of_member(flow, "down_per_second").value_or(0)), cell(text_of_member(flow, "client"), 12),
          cell(text_of_member(flow, "protocol"), 48), text_of_member(flow, "host")));
    }
  }
  return text;
}

// False: `q` was pressed, or a signal came.
bool wait_for_the_next() {
  pollfd keys{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  const Time until = BootClock::now() + kEvery;
  while (!ended) {
    const Duration left = until - BootClock::now();
    if (left <= Duration{}) return true;
    const int ready = ::poll(&keys, 1, static_cast<int>(std::chrono::ceil<milliseconds>(left).count()));
    if (ready > 0) {
      char key = 0;
      if (::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') return false;
    }
  }
  return false;
}

int watch(const std::string &socket) {
  struct sigaction action {};
  action.sa_handler = [](int) { ended = 1; };
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  Rates rates;
  std::string failure;
  {
    Screen screen;
    do {
      winsize size{};
      ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
      const size_t lines = std::max<size_t>(size.ws_row, kFewestLines);
      const size_t columns = std::max<size_t>(size.ws_col, kFewestColumns);
      Result<json> answer = control_request(socket, {{"command", "top"}, {"limit", lines}});
      if (!answer) {
        failure = answer.error().text;
        break;
      }
      std::vector<std::string> text = lines_of(*answer, rates, lines);
      text.resize(std::min(text.size(), lines));
      std::string drawn = "\x1b[H";
      for (size_t i = 0; i < text.size(); i++) {
        drawn += cell(text[i], columns);
        if (i + 1 < text.size()) drawn += "\r\n";
      }
      print(drawn + "\x1b[J");
    } while (wait_for_the_next());
  }
  return failure.empty() ? kDone : fail(failure);
}

}  // namespace

int run_top(Words arguments) {
  Asked asked;
  std::vector<Option> options = bind_rows<Asked>(asked_rows(), asked);
  Arguments parsed = parse_arguments(options, arguments, 1);
  if (parsed.help) {
    print(
        fmt::format("slipgate top [NAME] [options]: a running gateway, live; q ends it\n\n"
                    "Without a terminal it says once what there is.\n\n{}",
                    help_table(options)));
    return kDone;
  }
  if (!parsed.problems.empty()) return print_problems(parsed.problems);
  const std::string name = parsed.words.empty() ? "" : parsed.words[0];
  const bool live = !asked.as_json && ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO);
  if (!live) {
    return ask_gateways(asked, name, {{"command", "top"}}, [](const json &answer) {
      Rates rates;
      for (const std::string &line : lines_of(answer, rates, SIZE_MAX)) print(line + "\n");
    });
  }
  // The first that answers.
  Result<json> answer = Error{0, "no gateway of this user is running"};
  for (const std::string &socket : sockets_of(asked, name)) {
    answer = control_request(socket, {{"command", "status"}});
    if (answer) return watch(socket);
  }
  return fail(answer.error().text);
}

}  // namespace slipgate::cli
