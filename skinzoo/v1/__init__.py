"""The typed service's messages and stubs, generated from `lesion_classifier.proto` when skinzoo is built."""
