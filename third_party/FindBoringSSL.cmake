# BoringSSL as Debian packs it (android-libboringssl-dev): headers and shared libraries in private directories, so that they
# do not clash with OpenSSL's. Targets BoringSSL::crypto and BoringSSL::ssl; the rpath comes from the full library paths.
find_path(BORINGSSL_INCLUDE_DIR openssl/base.h PATHS /usr/include/android NO_DEFAULT_PATH)
find_library(BORINGSSL_CRYPTO crypto PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android NO_DEFAULT_PATH)
find_library(BORINGSSL_SSL ssl PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BoringSSL REQUIRED_VARS BORINGSSL_INCLUDE_DIR BORINGSSL_CRYPTO BORINGSSL_SSL)
if(BoringSSL_FOUND AND NOT TARGET BoringSSL::crypto)
  foreach(part crypto ssl)
    string(TOUPPER ${part} upper)
    add_library(BoringSSL::${part} SHARED IMPORTED GLOBAL)
    set_target_properties(BoringSSL::${part} PROPERTIES IMPORTED_LOCATION ${BORINGSSL_${upper}})
    # BEFORE: OpenSSL's headers of the same names may be installed as well.
    target_include_directories(BoringSSL::${part} BEFORE INTERFACE ${BORINGSSL_INCLUDE_DIR})
  endforeach()
  target_link_libraries(BoringSSL::ssl INTERFACE BoringSSL::crypto)
endif()
