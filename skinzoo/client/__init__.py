"""Cases to a server and results back, over the typed service or TensorFlow Serving's; free of TensorFlow.

Examples:
    >>> from skinzoo.client import Case, Client
    >>> with Client("localhost:8500") as client:  # doctest: +SKIP
    ...     [result] = client.classify([Case(image="lesion.jpg", age=55, sex="female")])
    ...     result.predicted_class
"""

from skinzoo.client.asynchronous import AsyncClient
from skinzoo.client.cases import Case, Explanation, Result
from skinzoo.client.model import Model
from skinzoo.client.options import ClientOptions
from skinzoo.client.synchronous import Client

__all__ = ["AsyncClient", "Case", "Client", "ClientOptions", "Explanation", "Model", "Result"]
