# Standalone Asio (libasio-dev, headers only). Target Asio::asio.
find_path(ASIO_INCLUDE_DIR asio.hpp)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Asio REQUIRED_VARS ASIO_INCLUDE_DIR)
if(Asio_FOUND AND NOT TARGET Asio::asio)
  add_library(Asio::asio INTERFACE IMPORTED GLOBAL)
  target_include_directories(Asio::asio SYSTEM INTERFACE ${ASIO_INCLUDE_DIR})
  # ASIO_HAS_CO_AWAIT: Asio 1.22 does not see clang 14's coroutines by itself.
  # ASIO_HAS_STD_ALIGNED_ALLOC: 1.22 finds out by what happens to be included before it, so that one source file allocates
  # with aligned_alloc() what another gives to operator delete.
  target_compile_definitions(Asio::asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_HAS_CO_AWAIT
                             ASIO_HAS_STD_ALIGNED_ALLOC)
  target_link_libraries(Asio::asio INTERFACE Threads::Threads)
endif()
