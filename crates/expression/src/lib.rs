//! Values from requests and answers, rendered into bodies, paths and headers.
