#include "base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "support/catch.h"

using namespace slipgate;

namespace {

struct File {
  explicit File(std::string_view content) {
    int descriptor = ::mkstemp(path.data());
    REQUIRE(::write(descriptor, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    ::close(descriptor);
  }
  ~File() { ::unlink(path.c_str()); }
  std::string path = "/tmp/slipgate-read-file-XXXXXX";
};

}  // namespace

TEST_CASE("a whole file is read, and no more of it than was asked for") {
  const std::string content(200'000, 'x');
  File file(content);
  CHECK(*read_file(file.path, 1 << 20) == content);
  CHECK(*read_file(file.path, content.size()) == content);
  CHECK(read_file(file.path, 1000)->size() == 1000);
  CHECK(read_file("/nothing/here", 10).error().code == ENOENT);
  CHECK_FALSE(read_file("/tmp", 10));
}

TEST_CASE("a pipe without a writer keeps nobody waiting") {
  File file("");
  ::unlink(file.path.c_str());
  REQUIRE(::mkfifo(file.path.c_str(), 0600) == 0);
  Result<std::string> read = read_file(file.path, 10);
  CHECK((!read || read->empty()));
}

TEST_CASE("somebody else opens the files when there is one") {
  File file("theirs");
  let_files_be_opened_by([&](const std::string &path) {
    return path == "known" ? ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC) : -EACCES;
  });
  CHECK(*read_file("known", 100) == "theirs");
  CHECK(read_file(file.path, 100).error().code == EACCES);
  let_files_be_opened_by({});
  CHECK(*read_file(file.path, 100) == "theirs");
}
