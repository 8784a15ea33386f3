# TensorFlow Serving with our settings inside. Build in the repository's root:
#   docker build --file serving/tensorflow.Dockerfile --tag skinzoo-tensorflow:cpu .
#   docker build --file serving/tensorflow.Dockerfile --tag skinzoo-tensorflow:gpu \
#     --build-arg IMAGE=tensorflow/serving:2.19.1-gpu --build-arg BATCHING=batching-gpu.config .
ARG IMAGE=tensorflow/serving:2.19.1
FROM ${IMAGE}

ARG BATCHING=batching-cpu.config
COPY serving/models.config serving/monitoring.config /config/
COPY serving/${BATCHING} /config/batching.config

USER 10001
EXPOSE 8500 8501
# Run it with an init process (docker run --init): the server handles no signals.
ENTRYPOINT ["tensorflow_model_server", "--port=8500", "--rest_api_port=8501", \
     "--model_config_file=/config/models.config", "--enable_batching=true", \
     "--batching_parameters_file=/config/batching.config", \
     "--monitoring_config_file=/config/monitoring.config", "--enable_grpc_healthcheck_service=true"]
